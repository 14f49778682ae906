"""Keys and values of all conversations: those of running sequences in slots, those between turns in blocks.

Lives in the model's thread. Knows places, positions and tensors, but neither tokens nor who waits; which slot and
which block holds what is decided in `core.engine.places`.

Slots of one size class are one tensor, so that one call attends for all sequences of a class: `keys` is
`[layer, slot, head, dimension, position]` and `values` is `[layer, slot, head, position, dimension]`. Keys lie
transposed because a query is a single row while it decodes, and a matrix product with one row runs along the
positions then: 2.7 times as fast on a CPU as with keys in rows. The query heads that share a key-value head are
the rows of one product.

Whatever lies in a slot behind a sequence's own tokens is masked, and must be finite for that: memory starts as
zeros, and the slot of a sequence that failed is scrubbed.
"""

import math
import mmap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import torch

from core.engine.places import Copy, Load, Move, Place, Save, Scrub


@dataclass(frozen=True, slots=True)
class Shape:
    """What is kept of a token: in each layer, for each of `heads`, a key of `dimension` numbers and a value of
    `value_dimension`."""

    layers: int
    heads: int
    dimension: int
    value_dimension: int

    def bytes(self, dtype: torch.dtype) -> int:
        """Of one token, in all layers."""
        return self.layers * self.heads * (self.dimension + self.value_dimension) * dtype.itemsize


class KeysValues:
    """The slots in their size classes and the pool of blocks."""

    def __init__(
        self,
        shape: Shape,
        sizes: Sequence[tuple[int, int]],
        *,
        blocks: int,
        block: int,
        dtype: torch.dtype,
        device: torch.device | str = "cpu",
    ) -> None:
        layers, heads = shape.layers, shape.heads
        self.device = torch.device(device)

        def empty(*lengths: int) -> torch.Tensor:
            return zeros(lengths, dtype, device)

        self.keys = [empty(layers, slots, heads, shape.dimension, capacity) for capacity, slots in sizes]
        self.values = [empty(layers, slots, heads, capacity, shape.value_dimension) for capacity, slots in sizes]
        self._block_keys = empty(blocks, layers, heads, shape.dimension, block)
        self._block_values = empty(blocks, layers, heads, block, shape.value_dimension)

    def copy(self, copies: Iterable[Copy]) -> None:
        """Between slots and blocks, in this order."""
        for copy in copies:
            match copy:
                case Save(place, start, length, block):
                    keys, values = self._of(place, start, length)
                    self._block_keys[block, ..., :length].copy_(keys)
                    self._block_values[block, ..., :length, :].copy_(values)
                case Load(block, place, start, length):
                    keys, values = self._of(place, start, length)
                    keys.copy_(self._block_keys[block, ..., :length])
                    values.copy_(self._block_values[block, ..., :length, :])
                case Move(source, target, length):
                    for new, old in zip(self._of(target, 0, length), self._of(source, 0, length), strict=True):
                        new.copy_(old)
                case Scrub(place, length):
                    for tensor in self._of(place, 0, length):
                        tensor.zero_()

    def _of(self, place: Place, start: int, length: int) -> tuple[torch.Tensor, torch.Tensor]:
        end = start + length
        keys, values = self.keys[place.size], self.values[place.size]
        return keys[:, place.index, :, :, start:end], values[:, place.index, :, start:end]


def zeros(lengths: Sequence[int], dtype: torch.dtype, device: torch.device | str = "cpu") -> torch.Tensor:
    """Zeros, and on a CPU no memory before somebody writes: a server that is little used stays small."""
    size = math.prod(lengths) * dtype.itemsize
    if torch.device(device).type != "cpu" or not size:
        return torch.zeros(lengths, dtype=dtype, device=device)
    return torch.frombuffer(mmap.mmap(-1, size), dtype=dtype).view(lengths)
