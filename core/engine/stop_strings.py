"""Ends a text before the first of some strings. Knows nothing of tokens."""

from collections.abc import Sequence
from functools import lru_cache


class StopStrings:
    """Holds a text's end back for as long as a stop string may begin in it.

    The first stop string that is complete ends the text, and of several that end at the same character the
    longest; so the cut is the same however the text arrives. What is held is the longest end of the text that is
    the beginning of a stop string: the state of Aho and Corasick's automaton (Efficient string matching, 1975).
    The cost of a character does not depend on the text before it.
    """

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(sorted(filter(None, stops), key=len, reverse=True))
        self._beginnings = _beginnings(self._stops)
        self._held = ""

    @property
    def holds_back(self) -> bool:
        return bool(self._held)

    def add(self, text: str) -> tuple[str, bool]:
        """The text that is final now, and whether a stop string follows it: then the completion is over."""
        if not self._held and self._beginnings.isdisjoint(text):
            return text, False
        text, held = self._held + text, self._held
        for end in range(len(held), len(text)):
            held += text[end]
            while held not in self._beginnings:
                held = held[1:]
            if held.endswith(self._stops):
                found = next(stop for stop in self._stops if held.endswith(stop))
                self._held = ""
                return text[: end + 1 - len(found)], True
        self._held = held
        return text[: len(text) - len(held)], False

    def flush(self) -> str:
        """What was held back, at the end of the completion."""
        text, self._held = self._held, ""
        return text


@lru_cache(maxsize=16)  # a model's own stop strings are the same in every completion
def _beginnings(stops: tuple[str, ...]) -> frozenset[str]:
    return frozenset(stop[:length] for stop in stops for length in range(len(stop) + 1))
