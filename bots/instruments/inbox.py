"""Watches what adapters accept; a trace begins here."""

from dataclasses import replace

from opentelemetry.trace import SpanKind

from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing, end
from core.errors import CoreError
from core.turns import AroundInbox, Event, Inbox


class WatchedInbox(AroundInbox):
    """`inbox`, as the adapter `name` is given it, watched."""

    def __init__(self, inbox: Inbox, name: str, metrics: Metrics, tracing: Tracing | None) -> None:
        super().__init__(inbox)
        self._name = name
        self._metrics = metrics
        self._tracing = tracing

    async def accept(self, event: Event) -> bool:
        accepted = await self._accept(event)
        if accepted:
            self._metrics.child(self._metrics.events, self._name, event.kind).inc()
            if event.kind == "vote":
                vote = "up" if event.text == "up" else "down"
                self._metrics.child(self._metrics.votes, self._name, vote).inc()
        return accepted

    async def _accept(self, event: Event) -> bool:
        if self._tracing is None or not self._tracing.takes_one():
            return await self._inbox.accept(event)
        attributes = {"platform": self._name, "turn": event.id, "kind": event.kind}
        span, failure = self._tracing.begin("accept", attributes, SpanKind.PRODUCER), ""
        try:
            return await self._inbox.accept(replace(event, trace=span.traceparent))
        except CoreError as exc:
            failure = type(exc).__name__
            raise
        finally:
            end(span, failure)
