"""Watches how a reply comes to its room."""

import time
from collections.abc import AsyncIterator, Sequence

from opentelemetry.trace import Span

from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from core.turns import Draft, Part, Reply


class WatchedReply:
    """`reply`, watched."""

    def __init__(self, reply: Reply, platform: str, metrics: Metrics, tracing: Tracing | None) -> None:
        self._reply = reply
        self._platform = platform
        self._metrics = metrics
        self._tracing = tracing
        self._sending: dict[int, tuple[float, Span | None]] = {}
        self.whole: float | None = None  # since when the reply is, by the monotonic clock

    @property
    def parts(self) -> Sequence[Part]:
        return self._reply.parts

    @property
    def replaces(self) -> Sequence[str]:
        return self._reply.replaces

    def key(self, part: int) -> str:
        return self._reply.key(part)

    def __aiter__(self) -> AsyncIterator[Draft]:
        return _Drafts(aiter(self._reply), self)

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        deadline = await self._reply.showing(part, text, end, final=final)
        self._metrics.child(self._metrics.changes, self._platform).inc()
        if part not in self._sending and not self._is_known(part):
            span = None if self._tracing is None else self._tracing.start("deliver", {"part": part})
            self._sending[part] = (time.monotonic(), span)
        return deadline

    async def shown(self, part: int, message: str) -> None:
        if (sending := self._sending.pop(part, None)) is not None:
            began, span = sending
            self._metrics.child(self._metrics.delivery_seconds, self._platform).observe(time.monotonic() - began)
            if span is not None:
                span.end()
        await self._reply.shown(part, message)

    def _is_known(self, part: int) -> bool:
        parts = self._reply.parts
        return part < len(parts) and parts[part].message is not None


class _Drafts:
    """Those of a reply. No generator: whoever has the last draft stops asking, and the event loop would have to
    close it in a task of its own."""

    def __init__(self, drafts: AsyncIterator[Draft], watched: WatchedReply) -> None:
        self._drafts = drafts
        self._watched = watched

    def __aiter__(self) -> "_Drafts":
        return self

    async def __anext__(self) -> Draft:
        draft = await anext(self._drafts)
        if draft.final:
            self._watched.whole = time.monotonic()
        return draft
