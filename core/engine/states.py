"""Which token sequences a remembered state has read, and in which block the state lies.

A state stands for all that it has read, so a prompt can go on only from one whose tokens it begins with. Those
tokens are kept sorted and compared themselves: the longest beginning of a prompt stands right before it, or before
the part of the prompt that its neighbour shares.

Knows no slot and no sequence.
"""

from bisect import bisect_left, bisect_right, insort
from collections import OrderedDict

from core.engine.prefixes import shared


class States:
    """`blocks` blocks for one state each."""

    def __init__(self, blocks: int) -> None:
        self.blocks = blocks
        self._free = list(range(blocks))
        self._sorted: list[tuple[int, ...]] = []
        self._blocks: OrderedDict[tuple[int, ...], int] = OrderedDict()  # the longest unused first

    @property
    def in_use(self) -> int:
        """How many blocks hold something."""
        return len(self._blocks)

    def match(self, tokens: tuple[int, ...]) -> tuple[int, int] | None:
        """The block and the length of the longest remembered beginning of `tokens`."""
        while at := bisect_right(self._sorted, tokens):
            before = self._sorted[at - 1]
            if (length := shared(before, tokens)) == len(before):
                self._blocks.move_to_end(before)
                return self._blocks[before], length
            tokens = tokens[:length]
        return None

    def insert(self, tokens: tuple[int, ...]) -> int | None:
        """Remember `tokens`. Returns the block to be written, `None` when they are remembered already, or there
        is nothing to remember or no block."""
        if tokens in self._blocks:
            self._blocks.move_to_end(tokens)
            return None
        if not tokens:
            return None
        if self._free:
            block = self._free.pop()
        elif self._blocks:
            oldest, block = self._blocks.popitem(last=False)
            self._sorted.pop(bisect_left(self._sorted, oldest))
        else:
            return None
        insort(self._sorted, tokens)
        self._blocks[tokens] = block
        return block
