"""Watches how a reply comes to its room."""

import time
from collections.abc import AsyncIterator, Sequence

from bots.instruments.live import current
from bots.instruments.metrics import Metrics
from bots.instruments.span import Span
from bots.instruments.tracing import Tracing, end
from core.turns import Draft, Part, Reply


class WatchedReply:
    """`reply`, watched. It is iterated once, and is its own iterator: each word of the model's passes here."""

    def __init__(self, reply: Reply, platform: str, metrics: Metrics, tracing: Tracing | None) -> None:
        self._reply = reply
        self._drafts = aiter(reply)
        self._platform = platform
        self._metrics = metrics
        self._tracing = tracing
        self._turn = current()
        self._sending: dict[int, tuple[float, Span | None]] = {}
        self._behind: float | None = None  # since when the model has words that the room was not asked to show
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
        return self

    async def __anext__(self) -> Draft:
        draft = await anext(self._drafts)
        if self._behind is None and not draft.pending:
            self._behind = time.monotonic()
        if draft.final:
            self.whole = time.monotonic()
            if self._turn is not None:
                self._turn.whole = True
        return draft

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        behind, self._behind = self._behind, None
        deadline = await self._reply.showing(part, text, end, final=final)
        now = time.monotonic()
        if behind is not None and not final:
            self._metrics.child(self._metrics.lag_seconds, self._platform, "draft").observe(now - behind)
        if part not in self._sending and not self._is_known(part):
            self._sending[part] = (now, self._span(part))
        return deadline

    async def shown(self, part: int, message: str) -> None:
        if (sending := self._sending.pop(part, None)) is not None:
            began, span = sending
            self._metrics.child(self._metrics.delivery_seconds, self._platform).observe(time.monotonic() - began)
            end(span)
        await self._reply.shown(part, message)

    def stop(self) -> None:
        self._reply.stop()

    def delivered(self) -> None:
        """The room shows all of it."""
        if self.whole is not None:
            lag = self._metrics.child(self._metrics.lag_seconds, self._platform, "final")
            lag.observe(time.monotonic() - self.whole)

    def _span(self, part: int) -> Span | None:
        if self._tracing is None or self._turn is None or self._turn.span is None:
            return None
        return self._tracing.under(self._turn.span, "deliver", {"part": part})

    def _is_known(self, part: int) -> bool:
        parts = self._reply.parts
        return part < len(parts) and parts[part].message is not None
