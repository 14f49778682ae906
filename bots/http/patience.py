"""Connections that keep us waiting: bounded in time and in number. Knows HTTP and nothing else.

uvicorn waits for ever for a request that comes a byte at a time or not at all, and for a reader that does not
read. Here the head of a request has `HEAD_SECONDS`, its body `BODY_SECONDS` (`bots.http.body_limit` sees to that),
and a reader that takes nothing has `READ_SECONDS`. When there are too many connections, the one goes that has said
nothing for longest: whoever asks for something is served also while ten thousand others are only open.
"""

import asyncio
from dataclasses import dataclass, field

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

try:
    import resource
except ImportError:  # on Windows, which has no such limit
    resource = None  # type: ignore[assignment]

HEAD_SECONDS = 15.0
BODY_SECONDS = 60.0
READ_SECONDS = 60.0
MOST_CONNECTIONS = 4096


def _most_connections() -> int:
    """At most half of the files that this process may open: the others have other uses."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0] if resource is not None else -1
    return min(MOST_CONNECTIONS, soft // 2) if soft > 0 else MOST_CONNECTIONS


@dataclass(slots=True)
class Patience:
    """One server's bounds, and its connections that wait to say something, the longest waiting first."""

    head_seconds: float = HEAD_SECONDS
    body_seconds: float = BODY_SECONDS
    read_seconds: float = READ_SECONDS
    most: int = field(default_factory=_most_connections)
    silent: dict["PatientProtocol", None] = field(default_factory=dict)


class PatientProtocol(H11Protocol):
    """HTTP/1.1 as uvicorn speaks it, with an end to patience. Made once more for each server by `protocol`."""

    patience = Patience()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._head: asyncio.TimerHandle | None = None
        self._reader: asyncio.TimerHandle | None = None
        self._wait_for_head()
        if len(self.connections) > self.patience.most:
            next(iter(self.patience.silent)).give_up()  # this one, if nobody else is silent

    def connection_lost(self, exc: Exception | None) -> None:
        self._heard()
        self._stop_reader()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        if self.cycle is not None and not self.cycle.response_complete:
            self._heard()
        elif self._head is None and not self.transport.is_closing():
            self._wait_for_head()

    def handle_websocket_upgrade(self, event: h11.Request) -> None:
        super().handle_websocket_upgrade(event)
        self._heard()
        self._stop_reader()

    def pause_writing(self) -> None:
        super().pause_writing()
        self._stop_reader()
        self._reader = self.loop.call_later(self.patience.read_seconds, self.give_up)

    def resume_writing(self) -> None:
        self._stop_reader()
        super().resume_writing()

    def _wait_for_head(self) -> None:
        self._head = self.loop.call_later(self.patience.head_seconds, self.give_up)
        self.patience.silent[self] = None

    def _heard(self) -> None:
        self.patience.silent.pop(self, None)
        if self._head is not None:
            self._head.cancel()
            self._head = None

    def _stop_reader(self) -> None:
        if self._reader is not None:
            self._reader.cancel()
            self._reader = None

    def give_up(self) -> None:
        """Close at once, whatever was not sent."""
        self._heard()
        self.connections.discard(self)  # it counts no more, though its end is told a little later
        self.transport.abort()


def protocol(patience: Patience) -> type[PatientProtocol]:
    """The protocol of one server."""
    return type("PatientProtocol", (PatientProtocol,), {"patience": patience})
