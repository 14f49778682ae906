"""Watches what adapters accept; a trace begins here."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import replace
from datetime import timedelta

from opentelemetry.trace import SpanKind

from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from core.turns import Conversation, Event, Inbox, Shown, Turn


class WatchedInbox:
    """`inbox`, watched."""

    def __init__(self, inbox: Inbox, metrics: Metrics, tracing: Tracing | None) -> None:
        self._inbox = inbox
        self._metrics = metrics
        self._tracing = tracing

    async def accept(self, event: Event) -> bool:
        if self._tracing is None:
            accepted = await self._inbox.accept(event)
        else:
            attributes = {"platform": event.room.platform, "turn": event.id, "kind": event.kind}
            with self._tracing.span("accept", attributes, kind=SpanKind.PRODUCER):
                accepted = await self._inbox.accept(replace(event, trace=self._tracing.parent()))
        if accepted:
            self._metrics.child(self._metrics.events, event.room.platform, event.kind).inc()
        return accepted

    def watch(self, conversation: Conversation) -> AbstractAsyncContextManager[AsyncIterator[Shown]]:
        return self._inbox.watch(conversation)

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        return await self._inbox.turns(conversation, last)

    async def get(self, key: str) -> bytes | None:
        return await self._inbox.get(key)

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None:
        await self._inbox.set(key, value, expires=expires)
