"""What is watched, and by whom: metrics always, traces where somebody takes them, and the turn's id in each line
that is logged meanwhile."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import SpanKind

from bots.instruments import logs
from bots.instruments.delivery import WatchedReply
from bots.instruments.engine import WatchedEngine
from bots.instruments.inbox import WatchedInbox
from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from core.answer import Deliver
from core.engine.engine import Engine
from core.turns import Event, Inbox, Reply
from core.worker import Ended, unwatched


class Instruments:
    """Those of one process."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None) -> None:
        self.metrics = metrics
        self._tracing = tracing

    def inbox(self, inbox: Inbox) -> Inbox:
        return WatchedInbox(inbox, self.metrics, self._tracing)

    def engine(self, engine: Engine) -> Engine:
        """To be called once a process: the metrics have one engine."""
        self.metrics.watch_engine(lambda: engine.load)
        return WatchedEngine(engine, self.metrics, self._tracing)

    def deliver(self, deliver: Deliver) -> Deliver:
        async def watched(event: Event, reply: Reply) -> None:
            platform = event.room.platform
            seen = WatchedReply(reply, platform, self.metrics, self._tracing)
            await deliver(event, seen)
            if seen.whole is not None:
                self.metrics.child(self.metrics.lag_seconds, platform).observe(time.monotonic() - seen.whole)

        return watched

    def turn(self, event: Event) -> AbstractContextManager[Ended]:
        """`core.worker.Watch`."""
        return self._turn(event)

    @contextmanager
    def _turn(self, event: Event) -> Iterator[Ended]:
        platform, began, outcome = event.room.platform, time.monotonic(), "done"

        def ended(how: str) -> None:
            nonlocal outcome
            outcome = how

        if event.at:
            self.metrics.child(self.metrics.wait_seconds, platform).observe(max(0.0, time.time() - event.at))
        running = self.metrics.child(self.metrics.running, platform)
        running.inc()
        try:
            with logs.about(event.id), self._traced(event):
                yield ended
        finally:
            running.dec()
            self.metrics.child(self.metrics.turn_seconds, platform, outcome).observe(time.monotonic() - began)

    @contextmanager
    def _traced(self, event: Event) -> Iterator[None]:
        if self._tracing is None:
            yield
            return
        attributes = {"platform": event.room.platform, "turn": event.id, "kind": event.kind}
        with self._tracing.span("turn", attributes, parent=event.trace, kind=SpanKind.CONSUMER):
            yield

    def close(self) -> None:
        if self._tracing is not None:
            self._tracing.close()


class NoInstruments(Instruments):
    """Nothing is watched: for whoever measures what the watching costs."""

    def __init__(self) -> None:
        super().__init__(Metrics(), None)

    def inbox(self, inbox: Inbox) -> Inbox:
        return inbox

    def engine(self, engine: Engine) -> Engine:
        return engine

    def deliver(self, deliver: Deliver) -> Deliver:
        return deliver

    def turn(self, event: Event) -> AbstractContextManager[Ended]:
        return unwatched(event)
