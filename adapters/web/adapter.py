"""The page: one chat for each browser, over a WebSocket.

Its room is what the store has recorded: `deliver` records and shows nothing, and the open pages draw what they
watch. So pages may hang on one process while another one answers.
"""

import asyncio
import hashlib
from dataclasses import dataclass
from html import escape
from importlib.resources import files

from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket

from adapters.features import Feature
from adapters.recording import record
from adapters.web.browser import Browser, locale_of
from adapters.web.events import PLATFORM
from adapters.web.frames import Trouble, encode
from adapters.web.guard import Guard
from adapters.web.session import TRY_AGAIN_LATER, Session
from core.languages import msgid, translated
from core.turns import Event, Fleet, Inbox, Reply

_NOT_READY = msgid("I am not ready for this page yet. It tries again by itself.")

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class WebSettings:
    """`hosts` are the names under which the page is served besides localhost and addresses in digits; `model` is
    shown on the page. `max_message` is in characters; `max_pages` may be open at once."""

    hosts: tuple[str, ...] = ()
    title: str = "Trialogue"
    model: str = ""
    max_message: int = 32_000
    max_pages: int = 512


class WebAdapter:
    """Serves the page by `routes` and listens to those that are open."""

    platform = PLATFORM
    supports = frozenset({Feature.GROWING, Feature.THINKING, Feature.MISSED, Feature.ONCE})

    def __init__(self, settings: WebSettings, fleet: Fleet) -> None:  # noqa: ARG002 - every adapter gets one
        self._settings = settings
        self._inbox: Inbox | None = None
        self._sessions: set[Session] = set()
        guarded = [Middleware(Guard, names=settings.hosts)]
        self.routes: list[BaseRoute] = [
            _file("/", "index.html", "text/html", guarded, title=settings.title, model=settings.model),
            _file("/page.js", "page.js", "text/javascript", guarded),
            _file("/page.css", "page.css", "text/css", guarded),
            WebSocketRoute("/chat", self._chat, middleware=guarded),
        ]

    async def listen(self, inbox: Inbox) -> None:
        self._inbox = inbox
        try:
            await asyncio.Event().wait()
        finally:
            self._inbox = None
            for session in self._sessions:
                session.close()

    async def deliver(self, event: Event, reply: Reply) -> None:  # noqa: ARG002 - the reply knows what it answers
        await record(reply)

    async def _chat(self, socket: WebSocket) -> None:
        browser = Browser.of(socket)
        secure = socket.headers.get("origin", "").startswith("https:")
        await socket.accept(headers=[(b"set-cookie", browser.cookie(secure=secure).encode())])
        if self._inbox is None or len(self._sessions) >= self._settings.max_pages:
            await socket.send_text(encode(Trouble(translated(_NOT_READY, locale_of(socket)))))
            await socket.close(TRY_AGAIN_LATER)
            return
        session = Session(socket, self._inbox, browser.chat, max_message=self._settings.max_message)
        self._sessions.add(session)
        try:
            await session.run()
        finally:
            self._sessions.discard(session)


def _file(path: str, name: str, media_type: str, middleware: list[Middleware], **words: str) -> Route:
    """A file of the page, held in memory, with `words` filled in where it says {{word}}."""
    text = files(__package__).joinpath("static", name).read_text(encoding="utf-8")
    for word, value in words.items():
        text = text.replace(f"{{{{{word}}}}}", escape(value))
    body = text.encode()
    headers = {**_HEADERS, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}

    async def endpoint(request: Request) -> Response:
        if request.headers.get("if-none-match") == headers["ETag"]:
            return Response(status_code=304, headers=headers)
        return Response(body, headers=headers, media_type=media_type)

    return Route(path, endpoint, middleware=middleware)
