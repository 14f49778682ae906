"""Guesses what a sequence says next: what followed the last time that its newest tokens stood in it.

Prompt look-up decoding (Apoorv Saxena, 2023): a reply repeats names, quotes and phrases of its prompt, and the
model checks several guessed tokens in one step. Knows no model: a wrong guess costs time and changes nothing.
"""

from collections.abc import Iterable

_SIZES = (3, 2)  # tokens that must agree: the longer, the likelier that what follows agrees too


class Drafts:
    """The index of one sequence: where each run of tokens was seen last and went on. Constant cost a token."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._limit = most
        self._tokens: list[int] = []
        self._next: dict[tuple[int, ...], int] = {}

    def __len__(self) -> int:
        """How many of the sequence's tokens are in the index."""
        return len(self._tokens)

    def extend(self, token_ids: Iterable[int]) -> None:
        """The sequence goes on with these."""
        for token_id in token_ids:
            for size in _SIZES:
                if len(self._tokens) >= size:
                    self._next[tuple(self._tokens[-size:])] = len(self._tokens)
            self._tokens.append(token_id)

    def propose(self, most: int) -> tuple[int, ...]:
        """At most `most` tokens that may come next; none where nothing like it was seen before."""
        for size in _SIZES:
            if (start := self._next.get(tuple(self._tokens[-size:]))) is not None:
                seen = self._tokens[start : start + min(most, self._limit)]
                return tuple(seen)
        return ()

    def judge(self, proposed: int, accepted: int) -> None:
        """How many of the last proposal were right. All: twice as many may be proposed; else, as many as were."""
        self._limit = min(self._most, 2 * self._limit) if accepted == proposed else max(1, accepted)
