"""Ends a text before the first of some strings. Knows nothing of tokens."""

from collections.abc import Sequence


class StopStrings:
    """Holds a text's end back for as long as a stop string may begin in it."""

    def __init__(self, stops: Sequence[str]) -> None:
        self._stops = tuple(filter(None, stops))
        self._held = ""

    @property
    def holds_back(self) -> bool:
        return bool(self._held)

    def add(self, text: str) -> tuple[str, bool]:
        """The text that is final now, and whether a stop string follows it: then the completion is over."""
        text = self._held + text
        found = [at for stop in self._stops if (at := text.find(stop)) >= 0]
        if found:
            self._held = ""
            return text[: min(found)], True
        final = len(text) - self._beginning_of_a_stop(text)
        self._held = text[final:]
        return text[:final], False

    def flush(self) -> str:
        """What was held back, at the end of the completion."""
        text, self._held = self._held, ""
        return text

    def _beginning_of_a_stop(self, text: str) -> int:
        """How many characters at the end of `text` are the beginning of a stop string."""
        longest = min(len(text), max(map(len, self._stops), default=1) - 1)
        for length in range(longest, 0, -1):
            if any(stop.startswith(text[-length:]) for stop in self._stops):
                return length
        return 0
