"""A tree of blocks of token ids: which beginnings of prompts are remembered, and in which block each piece lies.

A node stands for the tokens of one block after those of its parents. Only a full block has children; the tail of
what was remembered is a leaf with fewer tokens. The token ids themselves are compared, never a hash of them alone,
so that no accident mixes two conversations.

The children of a node are sorted by their tokens, and none's tokens are the beginning of another's. So the child
that shares most with a prompt stands beside the place where the prompt would be inserted, and thousands of
conversations after one system prompt cost a binary search.

All nodes stand in one line by their last use, each before its parent, since whoever uses a node uses its parents
too. So the longest unused node is a leaf, and the first to go.

Knows no slot and no sequence.
"""

from bisect import bisect_left
from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from operator import attrgetter

_tokens = attrgetter("tokens")


@dataclass(slots=True, eq=False)
class _Node:
    tokens: tuple[int, ...] = field(repr=False)
    block: int
    parent: "_Node | None"
    children: "list[_Node]" = field(default_factory=list, repr=False)

    def closest(self, piece: tuple[int, ...]) -> "tuple[_Node | None, int]":
        """The child that shares the most tokens with the beginning of `piece`, and how many."""
        at = self.position(piece)
        best, most = None, 0
        for child in self.children[max(0, at - 1) : at + 1]:
            if (length := shared(child.tokens, piece)) > most:
                best, most = child, length
        return best, most

    def position(self, piece: tuple[int, ...]) -> int:
        """Where among the children it is, or would be inserted."""
        return bisect_left(self.children, piece, key=_tokens)


class Prefixes:
    """`blocks` blocks of `size` tokens. An operation costs as much as its tokens are long."""

    def __init__(self, blocks: int, size: int) -> None:
        self._size = size
        self.blocks = blocks
        self._free = list(range(blocks))
        self._root = _Node((), -1, None)
        self._by_use: OrderedDict[_Node, None] = OrderedDict()  # the longest unused first

    @property
    def in_use(self) -> int:
        """How many blocks hold something."""
        return len(self._by_use)

    def match(self, tokens: tuple[int, ...]) -> list[tuple[int, int]]:
        """The longest remembered beginning of `tokens`: blocks, and how many of the first tokens of each count."""
        found: list[tuple[int, int]] = []
        path: list[_Node] = []
        node = self._root
        for _, piece in self._pieces(tokens):
            child, length = node.closest(piece)
            if child is None:
                break
            found.append((child.block, length))
            path.append(child)
            if length < self._size:
                break
            node = child
        self._use(path)
        return found

    def insert(self, tokens: tuple[int, ...]) -> list[tuple[int, int, int]]:
        """Remember `tokens`, or a beginning of them when too few blocks can be had.

        Returns what must be written: the block, where in `tokens` its piece starts, and the piece's length.
        """
        written: list[tuple[int, int, int]] = []
        path: list[_Node] = []
        node = self._root
        for start, piece in self._pieces(tokens):
            child, length = node.closest(piece)
            if child is None or length < min(len(piece), len(child.tokens)):
                if (block := self._take(len(path))) is None:
                    break
                child = _Node(piece, block, node)
                node.children.insert(node.position(piece), child)
                self._by_use[child] = None
                written.append((block, start, len(piece)))
            elif length < len(piece):  # a tail that goes on now: its place among its sisters stays the same
                child.tokens = piece
                written.append((child.block, start, len(piece)))
            self._by_use.move_to_end(child)  # so that no block is taken from what this stands on
            path.append(child)
            node = child
        self._use(path)
        return written

    def _pieces(self, tokens: tuple[int, ...]) -> Iterator[tuple[int, tuple[int, ...]]]:
        for start in range(0, len(tokens), self._size):
            yield start, tokens[start : start + self._size]

    def _take(self, held: int) -> int | None:
        """A block for a new node. The `held` nodes above it must stay."""
        if self._free:
            return self._free.pop()
        if len(self._by_use) <= held:
            return None
        leaf, _ = self._by_use.popitem(last=False)
        assert not leaf.children
        assert leaf.parent is not None
        leaf.parent.children.pop(leaf.parent.position(leaf.tokens))
        return leaf.block

    def _use(self, path: list[_Node]) -> None:
        for node in reversed(path):
            self._by_use.move_to_end(node)


def shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    """How many tokens both have in common at their beginning."""
    length = 0
    for a, b in zip(one, other, strict=False):
        if a != b:
            break
        length += 1
    return length
