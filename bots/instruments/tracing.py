"""A turn as one trace for OpenTelemetry, from the event that an adapter accepts to the last message of the reply.

The traceparent (W3C Trace Context) travels with the event through the store, so that the trace goes on in whatever
process claims it, and goes on again after a takeover. Spans have ids, counts and times; no text, no name.
"""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Span, SpanKind, Status, StatusCode
from opentelemetry.trace.propagation.tracecontext import TraceContextTextMapPropagator

Attributes = Mapping[str, str | int | float | bool]

_PARENT = "traceparent"
_EXPORT_SECONDS = 2.0  # a receiver that is away must not hold up a stop


class Tracing:
    """Spans go to `exporter`, in batches and from a thread of its own; what it cannot take is dropped."""

    def __init__(self, exporter: SpanExporter) -> None:
        self._provider = TracerProvider(
            resource=Resource.create({"service.name": "trialogue"}), shutdown_on_exit=False
        )
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("trialogue")
        self._propagator = TraceContextTextMapPropagator()

    @classmethod
    def to(cls, url: str) -> "Tracing":
        """`url` is the root of an OTLP receiver that speaks HTTP: http://localhost:4318."""
        return cls(OTLPSpanExporter(endpoint=f"{url}/v1/traces", timeout=_EXPORT_SECONDS))

    @contextmanager
    def span(
        self, name: str, attributes: Attributes, *, parent: str | None = None, kind: SpanKind = SpanKind.INTERNAL
    ) -> Iterator[Span]:
        """A span, current while the block lasts. `parent` is a traceparent; `None`: what is current here."""
        context = None if parent is None else self._propagator.extract({_PARENT: parent})
        with self._tracer.start_as_current_span(
            name,
            context=context,
            kind=kind,
            attributes=dict(attributes),
            record_exception=False,  # its text may quote somebody
            set_status_on_exception=False,
        ) as span:
            try:
                yield span
            except Exception as exc:
                span.set_status(Status(StatusCode.ERROR, type(exc).__name__))
                raise

    def start(self, name: str, attributes: Attributes) -> Span:
        """A span under the current one; the caller ends it."""
        return self._tracer.start_span(name, attributes=dict(attributes))

    def parent(self) -> str:
        """The traceparent of the current span."""
        carrier: dict[str, str] = {}
        self._propagator.inject(carrier)
        return carrier.get(_PARENT, "")

    def close(self) -> None:
        """Send what was not sent yet; blocks for seconds at most."""
        self._provider.shutdown()
