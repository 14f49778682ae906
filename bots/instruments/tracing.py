"""A turn as one trace for OpenTelemetry, from the event that an adapter accepts to the last message of the reply.

The traceparent (W3C Trace Context) travels with the event through the store, so that the trace goes on in whatever
process claims it, and goes on again after a takeover. Spans have ids, counts and times; no text, no name. Whether
an event is traced is decided where it comes in: one that is not has no traceparent, and no span anywhere. So many
a second are: a bot that is little used shows each turn, and one that has much to do spends little on it.
"""

import random
import time
from collections.abc import Callable

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import SpanKind

from bots.instruments.span import Attributes, Span, remote

_NOTHING: Attributes = {}
_EXPORT_SECONDS = 2.0  # a receiver that is away must not hold up a stop


class Tracing:
    """Spans go to `exporter`, in batches and from a thread of its own; what it cannot take is dropped. `ratio` is
    the share of events that are traced, and `most` how many a second; 0: however many. Spans are handed on by
    hand: a current one would have to be looked up."""

    def __init__(
        self,
        exporter: SpanExporter,
        ratio: float = 1.0,
        most: float = 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._batches = BatchSpanProcessor(exporter)
        self._ratio = ratio
        self._most = most
        self._clock = clock
        self._left = max(most, 1.0)  # that may begin at once
        self._left_at = clock()

    @classmethod
    def to(cls, url: str, ratio: float = 1.0, most: float = 0.0) -> "Tracing":
        """`url` is the root of an OTLP receiver that speaks HTTP: http://localhost:4318."""
        return cls(OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=_EXPORT_SECONDS), ratio, most)

    def takes_one(self) -> bool:
        """Whether the event that comes in now is traced. Asked once for each."""
        if random.random() >= self._ratio:  # noqa: S311 - who is traced is no secret
            return False
        if not self._most:
            return True
        now = self._clock()
        self._left = min(max(self._most, 1.0), self._left + (now - self._left_at) * self._most)
        self._left_at = now
        if self._left < 1.0:
            return False
        self._left -= 1.0
        return True

    def begin(self, name: str, attributes: Attributes, kind: SpanKind) -> Span:
        """The first span of a trace; whoever begins one ends it."""
        return Span(name, None, self._batches.on_end, attributes=attributes, kind=kind)

    def go_on(self, traceparent: str, name: str, attributes: Attributes, kind: SpanKind) -> Span | None:
        """The span under one of another process. `None`: without a traceparent nothing is traced."""
        if (parent := remote(traceparent)) is None:
            return None
        return Span(name, parent, self._batches.on_end, attributes=attributes, kind=kind)

    def under(
        self, parent: Span, name: str, attributes: Attributes = _NOTHING, *, began_ns: int | None = None
    ) -> Span:
        """A span begun now, or at that time since the epoch."""
        return Span(name, parent.context, self._batches.on_end, attributes=attributes, began_ns=began_ns)

    def close(self) -> None:
        """Send what was not sent yet; blocks for seconds at most."""
        self._batches.shutdown()  # type: ignore[no-untyped-call]


def end(span: Span | None, failure: str = "") -> None:
    """As `Span.end`, where there is one."""
    if span is not None:
        span.end(failure)
