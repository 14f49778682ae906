"""Logits at every position out of the engine's own forward pass. Knows no sampling and no text."""

from collections.abc import Iterator, Sequence

import torch  # noqa: TID251

from core.engine.attend import Span
from core.engine.engine import NOBODY, Params
from core.engine.prepared import Prepared
from core.engine.sequence import Sequence as Running


@torch.inference_mode()
def logits(
    prepared: Prepared, texts: Sequence[tuple[int, ...]], *, chunk: int
) -> Iterator[tuple[int, int, torch.Tensor]]:
    """Reads all of `texts` side by side, `chunk` tokens of each a step, in the places that the engine would give
    them. Yields (number of the text, position of the first token, logits `[position, vocabulary]`); what is
    yielded may be written over by the next step. Raises `ValueError` when they have no room together.
    """
    places = prepared.places()
    running = [Running(n, text, Params(max_tokens=1), 1, NOBODY) for n, text in enumerate(texts)]
    if not all(map(places.admit, running)):
        raise ValueError(f"{len(texts)} texts have no room in the cache together")
    prepared.model.memory.copy(places.copies())
    for start in range(0, max(map(len, texts)), chunk):
        reading = [(sequence, sequence.prompt[start : start + chunk]) for sequence in running]
        yield from _step(prepared, start, [(sequence, read) for sequence, read in reading if read])


def _step(
    prepared: Prepared, start: int, reading: Sequence[tuple[Running, tuple[int, ...]]]
) -> Iterator[tuple[int, int, torch.Tensor]]:
    ids: list[int] = []
    positions: list[int] = []
    spans: list[Span] = []
    order = sorted(reading, key=lambda pair: _row_order(*pair))
    for sequence, read in order:
        assert sequence.place is not None
        spans.append(Span(sequence.place, len(ids), start, len(read)))
        ids += read
        positions += range(start, start + len(read))
    rows = prepared.model.forward(torch.tensor(ids), torch.tensor(positions), spans, torch.arange(len(ids)))
    for (sequence, _), span in zip(order, spans, strict=True):
        yield sequence.number, start, rows[span.row : span.row + span.length]


def _row_order(sequence: Running, read: tuple[int, ...]) -> tuple[bool, int, int]:
    """As `Model.forward` wants its spans."""
    assert sequence.place is not None
    return len(read) > 1, sequence.place.size, sequence.place.index
