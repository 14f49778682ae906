"""Watches what the engine is asked: by rooms, by programs, and by itself in idle time."""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from bots.instruments.live import LiveTurn, current
from bots.instruments.metrics import Metrics
from bots.instruments.span import Span
from bots.instruments.tracing import Tracing, end
from core.engine.around import Around
from core.engine.engine import NOBODY, Caller, Completion, Delta, Engine, Message, Params


class WatchedEngine(Around):
    """`engine`, watched."""

    def __init__(self, engine: Engine, metrics: Metrics, tracing: Tracing | None) -> None:
        super().__init__(engine)
        self._metrics = metrics
        self._tracing = tracing

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        """See `Engine.generate`."""
        source = caller.user.partition(":")[0] or "idle"
        began, finish = time.monotonic(), "failed"
        turn = current()
        stages = _Stages(self._tracing, turn)
        watched: _Watched | None = None
        try:
            async with self._inner.generate(messages, params, caller) as completion:
                if turn is not None:
                    turn.completion = completion
                watched = _Watched(completion, stages, self._metrics, source, began)
                yield watched
            finish = watched.finish or "left"
        except asyncio.CancelledError:
            finish = "left"
            raise
        finally:
            stages.end()
            self._metrics.child(self._metrics.completion_seconds, source, finish).observe(time.monotonic() - began)


class _Stages:
    """The spans of a turn's completion: the prompt from the claim on, with the files that are read; prefill until
    the first token, the line included; and decode after it. A second completion of a turn has no prompt."""

    def __init__(self, tracing: Tracing | None, turn: LiveTurn | None) -> None:
        self._tracing = tracing
        self._turn = None if turn is None else turn.span
        self._span: Span | None = None
        if turn is not None and turn.completion is None:
            self.next("prompt", turn.claimed_ns)
        self.next("prefill")

    def next(self, name: str, began_ns: int | None = None) -> None:
        self.end()
        if self._tracing is not None and self._turn is not None:
            self._span = self._tracing.under(self._turn, name, began_ns=began_ns)

    def end(self) -> None:
        end(self._span)
        self._span = None

    def tell(self, prompt: int, cached: int, completion: int) -> None:
        if self._span is not None:
            tokens = {"tokens.prompt": prompt, "tokens.cached": cached, "tokens.completion": completion}
            self._span.tell(tokens)


class _Watched:
    """A completion, watched."""

    def __init__(
        self, completion: Completion, stages: _Stages, metrics: Metrics, source: str, began: float
    ) -> None:
        self.finish = ""
        self._completion = completion
        self._stages = stages
        self._metrics = metrics
        self._source = source
        self._began = began
        self._is_first = True

    @property
    def place_in_line(self) -> int:
        return self._completion.place_in_line

    @property
    def estimate(self) -> float | None:
        return self._completion.estimate

    def spell(self, token_id: int) -> bytes:
        return self._completion.spell(token_id)

    def __aiter__(self) -> "_Watched":
        return self

    async def __anext__(self) -> Delta:
        delta = await anext(self._completion)
        if self._is_first:
            self._is_first = False
            self._metrics.child(self._metrics.first_token_seconds, self._source).observe(
                time.monotonic() - self._began
            )
            self._stages.next("decode")
        if delta.finish:
            self.finish = delta.finish
        if (usage := delta.usage) is not None:
            self._stages.tell(usage.prompt, usage.cached, usage.completion)
            tokens = {"prompt": usage.prompt, "cached": usage.cached, "completion": usage.completion}
            for kind, count in tokens.items():
                self._metrics.child(self._metrics.tokens, self._source, kind).inc(count)
        return delta
