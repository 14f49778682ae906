"""Who may talk to the page: only the page itself, under a name that is ours.

A foreign site can make a browser send requests to 127.0.0.1. It cannot choose the Host that the browser sends,
unless it first points its own name at us (DNS rebinding): so only known names are served. Addresses in digits
cannot be rebound and are always fine. And a WebSocket is not held to the same-origin policy by browsers: so its
Origin, which a site cannot choose either, must be the host that was asked; and so must that of an upload.
"""

from collections.abc import Collection
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Receive, Scope, Send
from starlette.websockets import WebSocket

from adapters.web.hosts import is_address

_LOCAL = frozenset({"localhost"})


class Guard:
    """Refuses, with 421 or 403, what does not come from the page. `names` are served besides localhost."""

    def __init__(self, app: ASGIApp, names: Collection[str]) -> None:
        self._app = app
        self._names = _LOCAL | {name.lower() for name in names}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        refusal = self._refusal(scope)
        if refusal is None:
            await self._app(scope, receive, send)
        elif scope["type"] == "websocket":
            await WebSocket(scope, receive, send).send_denial_response(refusal)
        else:
            await refusal(scope, receive, send)

    def _refusal(self, scope: Scope) -> PlainTextResponse | None:
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            return PlainTextResponse("This name is not served here. http.names lists those that are.\n", 421)
        if _changes(scope) and not _same_origin(headers.get("origin", ""), hosts[0]):
            return PlainTextResponse("Only the page itself may connect.\n", 403)
        return None

    def _is_ours(self, host: str) -> bool:
        name = _name(host)
        return name is not None and (name in self._names or is_address(name))


def _changes(scope: Scope) -> bool:
    """Whether it may do more than read what is there for all."""
    return scope["type"] == "websocket" or scope["method"] not in {"GET", "HEAD"}


def _name(host: str) -> str | None:
    """The name in a Host header, without its port."""
    try:
        parts = urlsplit(f"//{host}")
        _ = parts.port  # raises for a port that is none
    except ValueError:
        return None
    return parts.hostname if parts.netloc == host and "@" not in host else None


def _same_origin(origin: str, host: str) -> bool:
    scheme, separator, rest = origin.partition("://")
    return bool(separator) and scheme in {"http", "https"} and rest.lower() == host.lower()
