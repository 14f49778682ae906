"""The one HTTP server: whatever routes it is given, on one address. It knows no adapter and no store."""

import asyncio
import errno
import socket
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager

import uvicorn
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route

from bots.http.body_limit import BodyLimit
from bots.http.patience import Patience, protocol
from core.errors import CoreError

MAX_BODY = 1 << 20
"""The largest request body and the largest WebSocket message, in bytes."""

GRACE_SECONDS = 1.0
"""How long open requests and WebSockets may take to end at a stop."""

_BACKLOG = 512


class CannotListen(CoreError):
    """The address cannot be listened on. The text says what to do."""


class PortInUse(CannotListen):
    """Somebody else listens on that port."""


async def serve(
    app_routes: Sequence[BaseRoute],
    host: str,
    port: int,
    *,
    ready: Callable[[str], None],
    patience: Patience | None = None,
    bodies: Mapping[str, int] | None = None,
) -> None:
    """Serve `app_routes` and /healthz until cancelled; port 0 takes a free one. Under the paths in `bodies` bodies
    of so many bytes are taken, and elsewhere of `MAX_BODY`.

    `ready` gets the URL once connections are taken. When cancelled, open connections are told to go away and it
    ends within two seconds. Raises `PortInUse` and `CannotListen`.
    """
    patience = patience or Patience()
    with closing(await _listening_socket(host, port)) as listener:
        app = Starlette(
            routes=[Route("/healthz", _healthz), *app_routes],
            middleware=[
                Middleware(BodyLimit, max_bytes=MAX_BODY, larger=bodies or {}, seconds=patience.body_seconds)
            ],
        )
        url = _url(host, listener.getsockname()[1])
        async with asyncio.TaskGroup() as group:
            server = _Server(_config(app, patience), started=lambda: ready(url))
            serving = group.create_task(server.serve(sockets=[listener]), name="uvicorn")
            try:
                await asyncio.wait([serving])
            finally:
                server.should_exit = True
                # uvicorn looks up every 0.1 s, and waits as long once it has told the connections.
                await asyncio.wait([serving], timeout=GRACE_SECONDS + 0.5)


class _Server(uvicorn.Server):
    """uvicorn without signal handlers: who builds the process decides what a signal does."""

    def __init__(self, config: uvicorn.Config, *, started: Callable[[], None]) -> None:
        super().__init__(config)
        self._report_started = started

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self._report_started()

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


def _config(app: Starlette, patience: Patience) -> uvicorn.Config:
    return uvicorn.Config(
        app,
        lifespan="off",
        http=protocol(patience),
        ws="websockets-sansio",
        ws_max_size=MAX_BODY,
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        backlog=_BACKLOG,
        timeout_graceful_shutdown=GRACE_SECONDS,  # type: ignore[arg-type]  # handed to a wait in seconds as it is
    )


async def _listening_socket(host: str, port: int) -> socket.socket:
    try:
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )
        family, _, _, _, address = found[0]
        return socket.create_server(address[:2], family=family, backlog=_BACKLOG)
    except OSError as exc:
        raise _explained(exc, host, port) from exc


def _explained(exc: OSError, host: str, port: int) -> CannotListen:
    if exc.errno == errno.EADDRINUSE:
        return PortInUse(
            f"port {port} on {host} is in use, perhaps by another Trialogue. "
            "Stop that one, or set http.port to another port (0 takes a free one)"
        )
    if exc.errno == errno.EACCES:
        return CannotListen(f"port {port} on {host} needs special rights. Set http.port to one above 1023")
    return CannotListen(f"cannot listen on {host}: {exc.strerror}. Set http.host to an address of this machine")


def _url(host: str, port: int) -> str:
    """Where a browser on this machine finds the server."""
    host = {"": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 - not bound here
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


async def _healthz(_request: Request) -> Response:
    return PlainTextResponse("ok")
