"""Keys and values in int8, in groups of 16 tokens as llama.c lays them out.

Lives in the model's thread. A slot is `[layer, head, group, byte]`, and the slots of one size class are one
tensor; a block between turns is one group of each layer and head. So a copy is a copy of whole groups, and what
lies in them behind a sequence's own tokens is never looked at.
"""

from collections.abc import Iterable, Sequence

import torch

from core.engine.keys_values import zeros
from core.engine.native.library import TOKENS
from core.engine.places import Copy, Load, Move, Place, Save, Scrub


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
        for copy in copies:
            match copy:
                case Save(place, start, _, block):
                    self._blocks[block].copy_(self._slots[place.size][place.index, :, :, start // TOKENS])
                case Load(block, place, start, _):
                    self._slots[place.size][place.index, :, :, start // TOKENS].copy_(self._blocks[block])
                case Move(source, target, length):
                    used = groups(length)
                    old = self._slots[source.size][source.index, :, :, :used]
                    self._slots[target.size][target.index, :, :, :used].copy_(old)
                case Scrub():
                    pass  # nobody looks at what its owner has not written


def groups(tokens: int) -> int:
    """As many as hold so many tokens."""
    return -(-tokens // TOKENS)
