"""Recurrent states of all conversations: those of running sequences in slots, those between turns in blocks.

Lives in the model's thread. Knows places, lengths and tensors, but neither tokens nor who waits; which slot and
which block holds what is decided in `core.engine.places`.

A state that has gone on cannot go back, and a step that fails behind its forward pass is tried again. So a slot
has two cells: the state before a step stays in one, the state after it is written to the other, and which one is
meant is known by how many tokens each has read. Every text begins with the state of no tokens, which has a cell of
its own.
"""

from collections.abc import Iterable, Sequence

import torch

from core.engine.attend import Span
from core.engine.capacity import CELLS
from core.engine.keys_values import zeros
from core.engine.places import Copy, Load, Move, Place, Save, Scrub

_EMPTY = 0  # the cell of no tokens


class StateTensors:
    """`shape` is of one state. See `core.engine.places.StatePlaces` for slots and blocks."""

    def __init__(
        self,
        shape: Sequence[int],
        *,
        slots: int,
        blocks: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        self.device = torch.device(device)
        self._cells = zeros((1 + CELLS * slots, *shape), dtype, device)
        self._blocks = zeros((blocks, *shape), dtype, device)
        self._read: list[int | None] = [0, *[None] * (CELLS * slots)]  # how many tokens, by cell

    def copy(self, copies: Iterable[Copy]) -> None:
        """Between slots and blocks, in this order."""
        for copy in copies:
            match copy:
                case Save(place, _, length, block):
                    self._blocks[block].copy_(self._cells[self._cell(place, length)])
                case Load(block, place, _, length):
                    self._forget(place)
                    cell = _cells(place)[0]
                    self._cells[cell].copy_(self._blocks[block])
                    self._read[cell] = length
                case Scrub(place, _):
                    self._forget(place)
                    self._cells[_cells(place)].zero_()
                case Move():
                    raise AssertionError("a state has no reason to move")

    def before(self, spans: Sequence[Span]) -> torch.Tensor:
        """The states from which these go on, `[span, *shape]`."""
        return self._cells[[self._cell(span.place, span.start) for span in spans]]

    def write(self, spans: Sequence[Span], states: torch.Tensor) -> None:
        """The states after these, beside those before."""
        targets = []
        for span in spans:
            cells = _cells(span.place)
            if not span.start:
                self._forget(span.place)
            targets.append(cells[self._cell(span.place, span.start) == cells[0]])
        self._cells[targets] = states
        for span, target in zip(spans, targets, strict=True):
            self._read[target] = span.end

    def _cell(self, place: Place, length: int) -> int:
        """Where the state of a slot after `length` tokens lies."""
        if not length:
            return _EMPTY
        cells = _cells(place)
        held = [self._read[cell] for cell in cells]
        assert length in held
        return cells[held.index(length)]

    def _forget(self, place: Place) -> None:
        for cell in _cells(place):
            self._read[cell] = None


def _cells(place: Place) -> list[int]:
    first = 1 + CELLS * place.index
    return [first, first + 1]
