"""The overview as server-sent events: `history` once, then `now` at each look."""

import asyncio
import logging
from collections.abc import Callable
from typing import Any

import msgspec
from starlette.types import Receive, Scope, Send

from bots.http.admin.access import admit
from bots.http.admin.overview import Overview
from bots.http.api.access import Access
from bots.http.api.errors import ApiError, as_api_error
from core.errors import CoreError

log = logging.getLogger(__name__)

MOST_PAGES = 32

_HEADERS = [
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-store"),
    (b"x-accel-buffering", b"no"),  # nginx would hold the stream back
]


class Stream:
    """An ASGI application: one open page. It ends when the page goes, or when its key may be used no more."""

    def __init__(self, overview: Overview, access: Access) -> None:
        self._overview = overview
        self._access = access

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            await admit(self._access, scope)
            if self._overview.watchers >= MOST_PAGES:
                raise ApiError(503, "Too many of these pages are open.", kind="server_error")
        except CoreError as exc:
            await as_api_error(exc).response()(scope, receive, send)
            return
        async with asyncio.TaskGroup() as group:
            tasks = {
                group.create_task(self._tell(scope, send), name="overview"),
                group.create_task(_gone(receive), name="gone"),
            }
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in tasks:
                task.cancel()

    async def _tell(self, scope: Scope, send: Send) -> None:
        with self._overview.watching():
            await send({"type": "http.response.start", "status": 200, "headers": _HEADERS})
            await _say(send, "history", list(self._overview.history))
            while await self._still_admitted(scope) and (state := await self._overview.next()) is not None:
                await _say(send, "now", state)
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    async def _still_admitted(self, scope: Scope) -> bool:
        """A store that is away takes nobody's key."""
        try:
            await admit(self._access, scope)
        except ApiError:
            return False
        except CoreError:
            return True
        return True


_encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode


async def _say(send: Send, event: str, data: Any) -> None:
    body = b"event: %s\ndata: %s\n\n" % (event.encode(), _encode(data))
    await send({"type": "http.response.body", "body": body, "more_body": True})


async def _gone(receive: Receive) -> None:
    """Return when the page has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
