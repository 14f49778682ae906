"""What is watched, and by whom: metrics and live turns always, traces where somebody takes them."""

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import SpanKind

from adapters import Adapter, Wired, name_of
from adapters.wire import Wire
from bots.instruments.collectors import EngineCollector, LiveCollector, WireCollector
from bots.instruments.delivery import WatchedReply
from bots.instruments.embedder import WatchedEmbedder
from bots.instruments.engine import WatchedEngine
from bots.instruments.inbox import WatchedInbox
from bots.instruments.live import Live
from bots.instruments.metrics import Metrics
from bots.instruments.span import Span
from bots.instruments.tracing import Tracing, end
from core.answer import Deliver
from core.engine.embedding import Embedder
from core.engine.engine import Engine, Load
from core.names import Names
from core.turns import Event, Inbox, Reply
from core.worker import Ended, unwatched


class Instruments:
    """Those of one process. `live` are its turns, `names` its adapters' names, and `wires` their connections by
    name."""

    def __init__(self, metrics: Metrics, tracing: Tracing | None) -> None:
        self.metrics = metrics
        self.names = Names()
        self.live = Live(self.names)
        self.wires: dict[str, Wire] = {}
        self._engines: list[Engine] = []
        self._adapters: set[str] = set()
        self._tracing = tracing
        metrics.registry.register(LiveCollector(self.live, self._adapters))
        metrics.registry.register(WireCollector(self.wires))

    def adapter(self, adapter: Adapter) -> None:
        """To be called for each one that is entered."""
        name = name_of(adapter)
        self._adapters.add(name)
        if isinstance(adapter, Wired):
            self.wires[name] = adapter.wire

    def inbox(self, inbox: Inbox, name: str) -> Inbox:
        """What the adapter `name` is given."""
        return WatchedInbox(inbox, name, self.metrics, self._tracing)

    def engine(self, engine: Engine) -> Engine:
        """To be called for each one: they are counted together."""
        if not self._engines:
            self.metrics.registry.register(EngineCollector(lambda: self.load))
        self._engines.append(engine)
        return WatchedEngine(engine, self.metrics, self._tracing)

    def embedder(self, embedder: Embedder) -> Embedder:
        return WatchedEmbedder(embedder, self.metrics)

    @property
    def load(self) -> Load:
        """That of all engines together."""
        return sum((engine.load for engine in self._engines), Load(alive=False))

    def deliver(self, deliver: Deliver, name: str) -> Deliver:
        """That of the adapter `name`."""

        async def watched(event: Event, reply: Reply) -> None:
            seen = WatchedReply(reply, name, self.metrics, self._tracing)
            await deliver(event, seen)
            seen.delivered()

        return watched

    def turn(self, event: Event) -> AbstractContextManager[Ended]:
        """`core.worker.Watch`."""
        return self._turn(event)

    @contextmanager
    def _turn(self, event: Event) -> Iterator[Ended]:
        name, began, outcome = self.names.of(event.said_in), time.monotonic(), "done"

        def ended(how: str) -> None:
            nonlocal outcome
            outcome = how

        if event.at:
            self.metrics.child(self.metrics.wait_seconds, name).observe(max(0.0, time.time() - event.at))
        with self.live.turn(event) as turn:
            turn.span = self._span(event, name)
            try:
                yield ended
            finally:
                end(turn.span, "" if outcome in {"done", "handed_over"} else outcome)
                self.metrics.child(self.metrics.turn_seconds, name, outcome).observe(time.monotonic() - began)

    def _span(self, event: Event, name: str) -> Span | None:
        if self._tracing is None or not event.trace:
            return None
        attributes = {"platform": name, "turn": event.id, "kind": event.kind}
        return self._tracing.go_on(event.trace, "turn", attributes, SpanKind.CONSUMER)

    def close(self) -> None:
        if self._tracing is not None:
            self._tracing.close()


class NoInstruments(Instruments):
    """Nothing is watched: for whoever measures what the watching costs."""

    def __init__(self) -> None:
        super().__init__(Metrics(), None)

    def inbox(self, inbox: Inbox, name: str) -> Inbox:  # noqa: ARG002
        return inbox

    def engine(self, engine: Engine) -> Engine:
        return engine

    def embedder(self, embedder: Embedder) -> Embedder:
        return embedder

    def deliver(self, deliver: Deliver, name: str) -> Deliver:  # noqa: ARG002
        return deliver

    def turn(self, event: Event) -> AbstractContextManager[Ended]:
        return unwatched(event)
