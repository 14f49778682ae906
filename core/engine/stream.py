"""What a reader of one completion sees while the model writes it. Lives on the event loop; no torch."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from core.engine.detokenizer import Detokenizer
from core.engine.engine import Delta, Logprob, Usage
from core.engine.stop_strings import StopStrings


class Stream:
    """Tokens go in at the model's pace, deltas come out at the reader's: what came meanwhile is one delta, for
    each candidate. The candidates with news take turns, and the iteration ends when all of them have ended.

    The engine waits for no reader; what is kept is bounded by the completion's own length. A delta has token ids
    (and their log-probabilities) only when their text is complete in it and before it, so that a candidate's ids
    decode to the beginning of its text, and to all of it unless a stop string or half a character was cut off.
    Cancelling a reader loses nothing: the next one goes on. `place` and `estimate` are asked until it has begun.
    `spell` gives the bytes of a token.
    """

    def __init__(
        self,
        decode: Callable[[Sequence[int]], str],
        stops: Sequence[str],
        *,
        candidates: int = 1,
        place: Callable[[], int],
        estimate: Callable[[], float | None],
        spell: Callable[[int], bytes],
    ) -> None:
        self._candidates = [_Candidate(number, decode, stops) for number in range(candidates)]
        self._open = candidates
        self._place = place
        self._estimate = estimate
        self._spell = spell
        self._begun = False
        self._unread: dict[int, None] = {}  # the candidates with news, those that wait longest first
        self._news = asyncio.Event()
        self._error: Exception | None = None

    @property
    def place_in_line(self) -> int:
        return 0 if self._begun else self._place()

    @property
    def estimate(self) -> float | None:
        return 0.0 if self._begun else self._estimate()

    def spell(self, token_id: int) -> bytes:
        return self._spell(token_id)

    def add(self, token_id: int, candidate: int = 0, logprob: Logprob | None = None) -> bool:
        """One more token of a candidate. True: a stop string ends it here, so that `finish` is to be called. What
        comes after the end is dropped."""
        self._begun = True
        told = self._candidates[candidate]
        if self._error is not None or told.over:
            return True
        told.add(token_id, logprob)
        if told.has_news:
            self._tell(candidate)
        return told.stopped

    def finish(self, why: Literal["stop", "length"], candidate: int = 0, usage: Usage | None = None) -> None:
        """A candidate is whole; what was held back becomes final. Only the first call counts, and none after
        `fail`."""
        told = self._candidates[candidate]
        if self._error is not None or told.over:
            return
        self._begun = True
        told.finish(why, usage)
        self._open -= 1
        self._tell(candidate)

    def fail(self, error: Exception) -> None:
        """The completion ends here with an error, once the text before it was read. Nothing happens when all
        candidates have ended."""
        if self._open and self._error is None:
            self._error = error
            self._begun = True
            self._news.set()

    def __aiter__(self) -> "Stream":
        return self

    async def __anext__(self) -> Delta:
        await self._news.wait()
        if self._unread:
            number = next(iter(self._unread))
            del self._unread[number]
            if not self._unread and self._open and self._error is None:
                self._news.clear()
            return self._candidates[number].take()
        if self._error is not None:
            raise self._error
        raise StopAsyncIteration

    def _tell(self, candidate: int) -> None:
        self._unread.setdefault(candidate)
        self._news.set()


class _Candidate:
    """What is final of one candidate and was not read, and what is held back."""

    def __init__(self, number: int, decode: Callable[[Sequence[int]], str], stops: Sequence[str]) -> None:
        self.over = False
        self.stopped = False  # by a stop string
        self._number = number
        self._detokenizer = Detokenizer(decode)
        self._stops = StopStrings(stops)
        self._held: list[tuple[int, Logprob | None]] = []
        self._text: list[str] = []
        self._tokens: list[tuple[int, Logprob | None]] = []
        self._finish: Literal["", "stop", "length"] = ""
        self._usage: Usage | None = None

    @property
    def has_news(self) -> bool:
        return bool(self._text)

    def add(self, token_id: int, logprob: Logprob | None) -> None:
        if not self.stopped:
            self._held.append((token_id, logprob))
            self._say(self._detokenizer.add(token_id))
            self._release()

    def finish(self, why: Literal["stop", "length"], usage: Usage | None) -> None:
        if not self.stopped:
            self._say(self._detokenizer.flush())
        if not self.stopped:
            self._text.append(self._stops.flush())
            self._release()
        self._finish = "stop" if self.stopped else why
        self._usage = usage
        self.over = True

    def take(self) -> Delta:
        text, tokens = "".join(self._text), self._tokens
        self._text, self._tokens = [], []
        return Delta(
            text,
            tuple(token_id for token_id, _ in tokens),
            self._finish,
            self._number,
            tuple(logprob for _, logprob in tokens if logprob is not None),
            self._usage,
        )

    def _say(self, text: str) -> None:
        text, self.stopped = self._stops.add(text)
        if text:
            self._text.append(text)

    def _release(self) -> None:
        """Tokens follow their text."""
        if not (self.stopped or self._detokenizer.holds_back or self._stops.holds_back):
            self._tokens += self._held
            self._held = []
