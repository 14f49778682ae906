"""The turns that this process answers now, as an operator may see them: where and how long, never what is said."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Literal

from bots.instruments.span import Span
from core.engine.engine import Completion
from core.names import Names
from core.turns import Event

Doing = Literal["reading", "waiting", "writing", "delivering"]


class LiveTurn:
    """One turn of `adapter`, from its claim on. `completion` is what the model was asked for, once it was;
    `whole`: the reply is, and is being shown to its end. `span` is its own where it is traced."""

    def __init__(self, event: Event, adapter: str) -> None:
        self.event = event
        self.adapter = adapter
        self.began = time.monotonic()
        self.claimed_ns = time.time_ns()
        self.completion: Completion | None = None
        self.whole = False
        self.span: Span | None = None

    @property
    def seconds(self) -> float:
        return time.monotonic() - self.began

    @property
    def place_in_line(self) -> int:
        """0 where it is in no line."""
        return 0 if self.completion is None else self.completion.place_in_line

    @property
    def doing(self) -> Doing:
        if self.whole:
            return "delivering"
        if self.completion is None:
            return "reading"
        return "waiting" if self.place_in_line else "writing"


_current: ContextVar[LiveTurn | None] = ContextVar("live turn", default=None)


def current() -> LiveTurn | None:
    """The turn for which whatever happens here happens."""
    return _current.get()


class Live:
    """Those of one process, in the order of their claims."""

    def __init__(self, names: Names) -> None:
        self._names = names
        self._turns: dict[LiveTurn, None] = {}

    def __len__(self) -> int:
        return len(self._turns)

    def __iter__(self) -> Iterator[LiveTurn]:
        return iter(tuple(self._turns))

    @contextmanager
    def turn(self, event: Event) -> Iterator[LiveTurn]:
        """One more, while the block runs, and `current` in it and in tasks begun there."""
        turn = LiveTurn(event, self._names.of(event.said_in))
        self._turns[turn] = None
        token = _current.set(turn)
        try:
            yield turn
        finally:
            _current.reset(token)
            del self._turns[turn]
