"""Keys and values in int8, in groups of 16 tokens as llama.c lays them out.

Lives in the model's thread. A slot is `[layer, head, group, byte]`, and the slots of one size class are one
tensor; a block between turns is one group of each layer and head. So a copy is a copy of whole groups, and what
lies in them behind a sequence's own tokens is never looked at.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from core.engine.keys_values import zeros
from core.engine.native.library import TOKENS
from core.engine.places import Copy, Load, Move, Place, Save


class Groups:
    """The slots in their size classes and the pool of blocks. `sizes` are (capacity in tokens, number of slots),
    and `size` is the bytes of a group."""

    device = torch.device("cpu")

    def __init__(
        self, layers: int, heads: int, size: int, sizes: Sequence[tuple[int, int]], *, blocks: int
    ) -> None:
        self._slots = [
            zeros((count, layers, heads, groups(capacity), size), torch.uint8) for capacity, count in sizes
        ]
        self._blocks = zeros((blocks, layers, heads, size), torch.uint8)

    def slot(self, place: Place) -> tuple[int, int]:
        """Where its memory begins, and how many groups it has."""
        slots = self._slots[place.size]
        return slots.data_ptr() + place.index * slots.stride(0), slots.shape[3]

    def copy(self, copies: Iterable[Copy]) -> None:
        """Between slots and blocks, in this order. Blocks hold what begins at a multiple of 16 tokens."""
        run: _Run | None = None
        for copy in copies:
            if run is not None and not run.take(copy):
                self._do(run)
                run = None
            match copy:
                case Load() | Save() if run is None:
                    run = _Run(type(copy), copy.place, copy.start // TOKENS, {copy.block: None})
                case Move(source, target, length):
                    used = groups(length)
                    self._groups(target, 0, used).copy_(self._groups(source, 0, used))
                case _:
                    pass  # a run took it; and nobody looks at what is to be scrubbed before it is written again
        if run is not None:
            self._do(run)

    def _do(self, run: "_Run") -> None:
        in_slot = self._groups(run.place, run.first, len(run.blocks))
        blocks = list(run.blocks)
        if run.kind is Load:
            in_slot.copy_(self._blocks[blocks].permute(1, 2, 0, 3))
        else:
            self._blocks[blocks] = in_slot.permute(2, 0, 1, 3)

    def _groups(self, place: Place, first: int, count: int) -> torch.Tensor:
        """`[layer, head, group, byte]`."""
        return self._slots[place.size][place.index, :, :, first : first + count]


def groups(tokens: int) -> int:
    """As many as hold so many tokens."""
    return -(-tokens // TOKENS)


@dataclass(slots=True)
class _Run:
    """Copies that are done as one: between groups of a slot that follow on one another, from `first` on, and
    `blocks`, in their order, none of them twice."""

    kind: type[Load | Save]
    place: Place
    first: int
    blocks: dict[int, None]

    def take(self, copy: Copy) -> bool:
        """Whether it was the next one, and is one of them now."""
        if not isinstance(copy, self.kind) or copy.place != self.place or copy.block in self.blocks:
            return False
        if copy.start != (self.first + len(self.blocks)) * TOKENS:
            return False
        self.blocks[copy.block] = None
        return True
