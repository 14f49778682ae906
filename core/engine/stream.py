"""What a reader of one completion sees while the model writes it. Lives on the event loop; no torch."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from core.engine.detokenizer import Detokenizer
from core.engine.engine import Delta
from core.engine.stop_strings import StopStrings


class Stream:
    """Tokens go in at the model's pace, deltas come out at the reader's: what came meanwhile is one delta.

    The engine waits for no reader; what is kept is bounded by the completion's own length. A delta has token ids
    only when their text is complete in it and before it, so that all deltas' ids decode to the beginning of all
    deltas' text, and to all of it unless a stop string or half a character was cut off.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self._detokenizer = Detokenizer(decode)
        self._stops = StopStrings(stops)
        self._held_ids: list[int] = []
        self._text: list[str] = []
        self._ids: list[int] = []
        self._finish: Literal["", "stop", "length"] = ""
        self._error: Exception | None = None
        self._done = False
        self._news = asyncio.Event()

    def add(self, token_id: int) -> bool:
        """One more token of the completion. True: a stop string ends it here."""
        self._held_ids.append(token_id)
        text, stopped = self._stops.add(self._detokenizer.add(token_id))
        self._text.append(text)
        if stopped:
            self._close("stop")
        elif not self._detokenizer.holds_back and not self._stops.holds_back:
            self._release_ids()
        if text:
            self._news.set()
        return stopped

    def finish(self, why: Literal["stop", "length"]) -> None:
        """The completion is whole; what was held back becomes final."""
        text, stopped = self._stops.add(self._detokenizer.flush())
        self._text += (text, self._stops.flush())
        if not stopped and not self._detokenizer.holds_back:
            self._release_ids()
        self._close("stop" if stopped else why)

    def fail(self, error: Exception) -> None:
        """The completion ends here with an error, once the text before it was read."""
        if not self._done:
            self._error = error
            self._close("")

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Delta:
        await self._news.wait()
        delta = Delta("".join(self._text), tuple(self._ids), self._finish)
        if delta.text or delta.finish:
            self._text, self._ids, self._finish = [], [], ""
            if not self._done:
                self._news.clear()
            return delta
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    def _release_ids(self) -> None:
        self._ids += self._held_ids
        self._held_ids = []

    def _close(self, why: Literal["", "stop", "length"]) -> None:
        self._finish = why
        self._done = True
        self._news.set()
