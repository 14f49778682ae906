"""No request body is larger than we are willing to hold. Knows HTTP and nothing else."""

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
    """Answers 413 to a body of more than `max_bytes`, declared or not, and never holds more than that of it. Under
    the paths in `larger` so many bytes may come as it says there; whoever serves them holds them on a disk.

    WebSocket messages are not bounded here; the server does that.
    """

    def __init__(self, app: ASGIApp, max_bytes: int, larger: Mapping[str, int]) -> None:
        self._app = app
        self._max_bytes = max_bytes
        self._larger = larger

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        received, answering, ended = 0, False, False
        most = self._most(scope["path"])

        async def counted() -> Message:
            nonlocal received, ended
            message = await receive()
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
        if too_large:
            if not ended:
                await self._discard(receive)
            # In the form in which the API tells its errors.
            problem = {
                "message": f"The body may have {most} bytes.",
                "type": "invalid_request_error",
                "param": None,
                "code": None,
            }
            await JSONResponse({"error": problem}, 413, {"connection": "close"})(scope, receive, send)

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


class _TooLarge(Exception):
    """More came than was allowed."""
