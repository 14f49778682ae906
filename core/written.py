"""An answer while it is written: its text, its tokens, and what it takes. Pure."""

import time

from core.engine.engine import Delta
from core.turns import Called, Cost

_MEASURABLE = 0.1  # seconds; of less no speed is told


class Written:
    """The answer so far, which may have begun elsewhere. Its tokens are known only if all of it was made here."""

    def __init__(self, so_far: str) -> None:
        self.text = so_far
        self.calls: list[Called] = []
        self.cost: Cost | None = None
        self._whole = not so_far
        self._token_ids: list[int] = []
        self._begun = 0.0

    @property
    def token_ids(self) -> tuple[int, ...]:
        return tuple(self._token_ids) if self._whole else ()

    def instead(self, text: str) -> "Written":
        """What took as much and reads otherwise."""
        other = Written(text)
        other.cost, other.calls = self.cost, self.calls
        return other

    def call(self, made: Called) -> None:
        """A tool was called; what is written from here on is a paragraph of its own, and was not made in one piece
        with what stands before."""
        self.calls.append(made)
        self._whole = False
        if self.text.strip():
            self.text = f"{self.text.rstrip()}\n\n"

    def add(self, delta: Delta) -> None:
        self.text += delta.text
        self._token_ids += delta.token_ids
        now = time.monotonic()
        self._begun = self._begun or now
        if (used := delta.usage) is not None:
            seconds = now - self._begun  # after the first of them
            speed = round((used.completion - 1) / seconds, 1) if seconds > _MEASURABLE else 0.0
            self.cost = Cost(used.prompt, used.cached, used.completion, speed)
