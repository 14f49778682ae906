"""No request body is larger than we are willing to hold, or on its way for longer than we are willing to wait.
Knows HTTP and nothing else."""

import asyncio
from collections.abc import Mapping
from contextlib import suppress

from starlette.datastructures import Headers
from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

# A client reads the refusal only after it has sent all, and a connection closed before that looks broken to it:
# so much more is read and thrown away, for so long.
_DISCARD_TIMES = 8
_DISCARD_SECONDS = 10.0


class BodyLimit:
    """Answers 413 to a body of more than `max_bytes`, declared or not, and never holds more than that of it, and
    408 to one that is not there after `seconds`. Under the paths in `larger` so many bytes may come as it says
    there; whoever serves them holds them on a disk, and bounds their time.

    WebSocket messages are not bounded here; the server does that.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int], seconds: float) -> None:
        self._app = app
        self._seconds = seconds
        self._max_bytes = max_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, answering, ended = 0, False, False
        most = self._most(scope["path"])
        ends = asyncio.get_running_loop().time() + self._seconds if most == self._max_bytes else None

        async def counted() -> Message:
            nonlocal received, ended
            if ended:
                return await receive()
            try:
                async with asyncio.timeout_at(ends):
                    message = await receive()
            except TimeoutError:
                raise _TooSlow from None
            received += len(message.get("body", b""))
            ended = not message.get("more_body", False)
            if received > most:
                raise _TooLarge
            return message

        async def noticed(message: Message) -> None:
            nonlocal answering
            answering = True
            await send(message)

        declared = Headers(scope=scope).get("content-length", "")
        too_large = declared.isdecimal() and int(declared) > most
        if not too_large:
            try:
                await self._app(scope, counted, noticed)
            except _TooLarge:
                if answering:
                    raise
                too_large = True
            except _TooSlow:
                if answering:
                    raise
                await _refusal("The body did not come.", 408)(scope, receive, send)
        if too_large:
            if not ended:
                await self._discard(receive)
            await _refusal(f"The body may have {most} bytes.", 413)(scope, receive, send)

    def _most(self, path: str) -> int:
        return max(
            (most for start, most in self._larger.items() if path.startswith(start)), default=self._max_bytes
        )

    async def _discard(self, receive: Receive) -> None:
        left = self._max_bytes * _DISCARD_TIMES
        with suppress(TimeoutError):
            async with asyncio.timeout(_DISCARD_SECONDS):
                while left > 0:
                    message = await receive()
                    left -= len(message.get("body", b""))
                    if not message.get("more_body", False):
                        return


def _refusal(message: str, status: int) -> JSONResponse:
    """In the form in which the API tells its errors."""
    problem = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
    return JSONResponse({"error": problem}, status, {"connection": "close"})


class _TooLarge(Exception):
    """More came than was allowed."""


class _TooSlow(Exception):
    """Not all came in time."""
