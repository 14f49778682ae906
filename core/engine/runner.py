"""Runs a model for one step, in the model's own thread: one forward pass for all sequences of a batch.

Knows numbers, places and token ids: neither requests nor text, neither the event loop nor a lock.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import torch

from core.engine.attend import Span
from core.engine.engine import Logprob
from core.engine.places import Copy
from core.engine.sampler import Draw, Drawn, Sampler
from core.engine.scheduler import Batch, Chunk

# Whatever torch or a model raises for somebody's tokens. Anything else is our mistake and ends the step for all.
_STEP_ERRORS = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)


class Memory(Protocol):
    """What sequences carry between steps, by places: keys and values, or a recurrent state."""

    device: torch.device

    def copy(self, copies: Iterable[Copy]) -> None:
        """Do these, in their order."""
        ...


class Model(Protocol):
    """A model with its memory."""

    @property
    def memory(self) -> Memory: ...

    @property
    def vocabulary(self) -> int:
        """The width of its logits."""
        ...

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, spans: Sequence[Span], wanted: torch.Tensor
    ) -> torch.Tensor:
        """Reads a packed batch: `ids` and `positions` are `[row]`, and `spans` say whose rows they are: those of
        one token first, in the order of their places. Returns the logits of the rows `wanted`, in their order."""
        ...


@dataclass(frozen=True, slots=True)
class Sampled:
    """The new tokens of one sequence, with their log-probabilities where they were asked for."""

    token_ids: tuple[int, ...] = field(repr=False)
    logprobs: tuple[Logprob | None, ...] = field(repr=False)


Outcome = Sampled | None | Exception
"""Of one chunk: what was sampled, `None` where nothing was due, or what went wrong."""


class Runner:
    """The forward pass and what follows from it. Only one thread may call `run` at a time."""

    def __init__(self, model: Model) -> None:
        self._model = model
        self._memory = model.memory
        self._sampler = Sampler(model.vocabulary, device=model.memory.device)

    def __len__(self) -> int:
        """How many sequences it keeps anything of, beside their memory."""
        return len(self._sampler)

    @torch.inference_mode()
    def run(self, batch: Batch) -> list[Outcome]:
        """The outcome of each chunk, in their order. A batch that fails is tried again one by one, so that what
        one sequence brought about ends only that one."""
        for number in batch.freed:
            self._sampler.end(number)
        self._memory.copy(batch.copies)
        if not batch.chunks:
            return []
        try:
            return self._step(batch.chunks)
        except _STEP_ERRORS:
            return [self._alone(chunk) for chunk in batch.chunks]

    def _alone(self, chunk: Chunk) -> Outcome:
        try:
            return self._step((chunk,))[0]
        except _STEP_ERRORS as error:
            return error

    def _step(self, chunks: Sequence[Chunk]) -> list[Outcome]:
        order = sorted(range(len(chunks)), key=lambda i: _row_order(chunks[i]))
        packed = [chunks[i] for i in order]
        for chunk in packed:
            self._observe(chunk)
        drawn = iter(self._drawn(packed))
        outcomes: list[Outcome] = [None] * len(chunks)
        for i, chunk in zip(order, packed, strict=True):
            outcomes[i] = _judged(chunk, [next(drawn) for _ in range(chunk.samples)])
        return outcomes

    def _observe(self, chunk: Chunk) -> None:
        if chunk.start == len(chunk.prefix):  # its first chunk, or it begins anew
            self._sampler.begin(chunk.number, chunk.params, chunk.candidate)
            self._sampler.observe(chunk.number, 0, chunk.prefix)
        self._sampler.observe(chunk.number, chunk.start, chunk.token_ids)

    def _drawn(self, chunks: Sequence[Chunk]) -> list[Drawn | ValueError]:
        ids: list[int] = []
        positions: list[int] = []
        spans, wanted, draws = [], [], []
        for chunk in chunks:
            length = len(chunk.token_ids)
            spans.append(Span(chunk.place, len(ids), chunk.start, length))
            ids += chunk.token_ids
            positions += range(chunk.start, chunk.start + length)
            for back in range(chunk.samples, 0, -1):
                wanted.append(len(ids) - back)
                draws.append(Draw(chunk.number, positions[-back] + 1))
        logits = self._model.forward(self._tensor(ids), self._tensor(positions), spans, self._tensor(wanted))
        return self._sampler.sample(logits, draws)

    def _tensor(self, numbers: Sequence[int]) -> torch.Tensor:
        return torch.tensor(numbers, dtype=torch.long, device=self._memory.device)


def _row_order(chunk: Chunk) -> tuple[bool, int, int]:
    return len(chunk.token_ids) > 1, chunk.place.size, chunk.place.index


def _judged(chunk: Chunk, drawn: Sequence[Drawn | ValueError]) -> Outcome:
    """What was sampled counts up to and including the first token that differs from its draft."""
    if not drawn:
        return None
    token_ids: list[int] = []
    logprobs: list[Logprob | None] = []
    drafts = (*chunk.token_ids[len(chunk.token_ids) - len(drawn) + 1 :], None)
    for one, draft in zip(drawn, drafts, strict=True):
        if isinstance(one, ValueError):
            return one
        token_ids.append(one.token_id)
        logprobs.append(one.logprob)
        if one.token_id != draft:
            break
    return Sampled(tuple(token_ids), tuple(logprobs))
