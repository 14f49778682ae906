"""One span of a trace, as light as it can be: the SDK's own takes five times as long to begin and end, which would
be a twentieth of a turn's processor time. Batching, encoding and sending are the SDK's.
"""

import random
import re
import time
from collections.abc import Callable, Mapping

from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.util.instrumentation import InstrumentationScope
from opentelemetry.trace import SpanContext, SpanKind, Status, StatusCode, TraceFlags

Attributes = Mapping[str, str | int | float | bool]


class _Resource(Resource):
    """Hashed once. A batch is put in order by its spans' resources, and the SDK makes JSON of one each time."""

    def __init__(self, resource: Resource) -> None:
        super().__init__(resource.attributes, resource.schema_url)
        self._hash = super().__hash__()

    def __hash__(self) -> int:
        return self._hash


_RESOURCE = _Resource(Resource.create({"service.name": "trialogue"}))
_SCOPE = InstrumentationScope("trialogue")
_SAMPLED = TraceFlags(TraceFlags.SAMPLED)
_TRACEPARENT = re.compile(r"00-([0-9a-f]{32})-([0-9a-f]{16})-[0-9a-f]{2}")  # W3C Trace Context


class Span(ReadableSpan):
    """Begun now, or at `began_ns` since the epoch. `ended` is handed it when it has."""

    def __init__(
        self,
        name: str,
        parent: SpanContext | None,
        ended: Callable[["Span"], None],
        *,
        attributes: Attributes,
        kind: SpanKind = SpanKind.INTERNAL,
        began_ns: int | None = None,
    ) -> None:
        trace_id = _random(128) if parent is None else parent.trace_id
        super().__init__(
            name,
            SpanContext(trace_id, _random(64), is_remote=False, trace_flags=_SAMPLED),
            parent,
            _RESOURCE,
            attributes,
            kind=kind,
            start_time=time.time_ns() if began_ns is None else began_ns,
            instrumentation_scope=_SCOPE,
        )
        self._ended = ended

    @property
    def traceparent(self) -> str:
        return f"00-{self.context.trace_id:032x}-{self.context.span_id:016x}-01"

    def tell(self, attributes: Attributes) -> None:
        """Of these, too."""
        self._attributes = {**(self._attributes or {}), **attributes}

    def end(self, failure: str = "") -> None:
        """`failure` names what went wrong, and quotes nobody. Called once."""
        self._end_time = time.time_ns()
        if failure:
            self._status = Status(StatusCode.ERROR, failure)
        self._ended(self)


def remote(traceparent: str) -> SpanContext | None:
    """What a span of another process is known by. `None`: it is none."""
    if (found := _TRACEPARENT.fullmatch(traceparent)) is None:
        return None
    context = SpanContext(int(found[1], 16), int(found[2], 16), is_remote=True, trace_flags=_SAMPLED)
    return context if context.is_valid else None


def _random(bits: int) -> int:
    """No id is 0."""
    return random.getrandbits(bits) or 1
