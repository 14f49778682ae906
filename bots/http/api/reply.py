"""What is sent to whoever asked: whole or as a stream, and an error in either."""

import json
from contextlib import suppress
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from bots.http.api.errors import as_api_error


class Reply:
    """What is sent, once and in one form."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers: dict[str, str] = {}
        self._scope = scope
        self._receive = receive
        self._send = send
        self._state: str = "unsent"

    async def send(self, response: Response) -> None:
        if self._state != "unsent":
            return
        self._state = "sent"
        response.headers.update(self.headers)
        await response(self._scope, self._receive, self._send)

    async def stream(self, events: Any, *, last: bool = False) -> None:
        """Server-sent events, as many as there are, and the mark of the end."""
        if self._state == "sent":
            return
        if self._state == "unsent":
            self._state = "streaming"
            await self._send({"type": "http.response.start", "status": 200, "headers": self._stream_headers()})
        lines = [f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n" for event in events]
        if last:
            lines.append("data: [DONE]\n\n")
            self._state = "sent"
        if lines:
            body = "".join(lines).encode(errors="replace")
            await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def fail(self, error: Exception) -> None:
        """Tell of an error: by the status, or in the stream where that is sent already."""
        told = as_api_error(error)
        if self._state == "streaming":
            with suppress(OSError):
                await self.stream([told.body], last=True)
        else:
            await self.send(told.response())

    def _stream_headers(self) -> list[tuple[bytes, bytes]]:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",  # nginx would hold the stream back
            **self.headers,
        }
        return [(name.encode(), value.encode()) for name, value in headers.items()]
