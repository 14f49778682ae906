"""How Slack brings an event to the app: over one of its WebSockets, or by HTTP with a signature.

What is not acknowledged in time is brought again, three times at most; here at once, and not after a minute.
"""

import asyncio
import hashlib
import hmac
import itertools
import json
import time
from urllib.parse import urlencode

import aiohttp
from aiohttp import web

from tests.fakes.slack_world import Json

RETRIES = 3


class Socket:
    """One WebSocket of Socket Mode. `open`: new events may come over it."""

    def __init__(self, socket: web.WebSocketResponse, request: web.Request) -> None:
        self.open = True
        self._socket = socket
        self._request = request
        self._acknowledged: dict[str, asyncio.Future[Json]] = {}

    async def serve(self, connections: int) -> None:
        """Until the app has gone."""
        await self.send({"type": "hello", "num_connections": connections, "connection_info": {"app_id": "A0"}})
        try:
            async for frame in self._socket:
                if frame.type is aiohttp.WSMsgType.TEXT:
                    self._acknowledge(json.loads(frame.data))
        finally:
            self.open = False
            for waiting in self._acknowledged.values():
                waiting.cancel()

    async def bring(self, envelope: Json, within: float) -> Json | None:
        """What the app answers with its acknowledgement; None: there was none in time."""
        answered = asyncio.get_running_loop().create_future()
        self._acknowledged[envelope["envelope_id"]] = answered
        try:
            async with asyncio.timeout(within):
                await self.send(envelope)
                await asyncio.wait([answered])
            return None if answered.cancelled() else answered.result()
        except (TimeoutError, ConnectionError):
            return None
        finally:
            del self._acknowledged[envelope["envelope_id"]]

    async def send(self, message: Json) -> None:
        await self._socket.send_json(message)

    async def send_raw(self, text: str) -> None:
        await self._socket.send_str(text)

    async def close(self) -> None:
        self.open = False
        await self._socket.close()

    def cut(self) -> None:
        self.open = False
        assert self._request.transport is not None
        self._request.transport.abort()

    def _acknowledge(self, message: Json) -> None:
        waiting = self._acknowledged.get(message.get("envelope_id", ""))
        if waiting is not None and not waiting.done():
            waiting.set_result(message.get("payload") or {})


class HttpPush:
    """Signed requests to `url`. `answers` are the status codes that came back."""

    def __init__(self, session: aiohttp.ClientSession, url: str, secret: str) -> None:
        self.url = url
        self.answers: list[int] = []
        self._session = session
        self._secret = secret

    async def bring(self, body: Json, *, attempt: int, within: float) -> Json | None:
        retry = {"X-Slack-Retry-Num": str(attempt), "X-Slack-Retry-Reason": "http_error"} if attempt else {}
        return await self.post(json.dumps(body), "application/json", within=within, headers=retry)

    async def command(self, body: Json, *, within: float) -> Json | None:
        return await self.post(urlencode(body), "application/x-www-form-urlencoded", within=within)

    async def post(
        self,
        body: str,
        kind: str,
        *,
        within: float,
        headers: dict[str, str] | None = None,
        at: float | None = None,
    ) -> Json | None:
        stamp = str(int(time.time() if at is None else at))
        digest = hmac.new(self._secret.encode(), f"v0:{stamp}:{body}".encode(), hashlib.sha256).hexdigest()
        signed = {"X-Slack-Request-Timestamp": stamp, "X-Slack-Signature": f"v0={digest}", "Content-Type": kind}
        try:
            async with (
                asyncio.timeout(within),
                self._session.post(self.url, data=body.encode(), headers=signed | (headers or {})) as answer,
            ):
                text = await answer.text()
        except (TimeoutError, aiohttp.ClientError):
            return None
        self.answers.append(answer.status)
        if answer.status >= 300:
            return None
        return dict(json.loads(text)) if text.startswith("{") else {"text": text} if text else {}


class Sockets:
    """The app's WebSockets: events are spread over those that are open."""

    def __init__(self) -> None:
        self.all: list[Socket] = []
        self._turn = itertools.count()

    @property
    def open(self) -> list[Socket]:
        return [socket for socket in self.all if socket.open]

    def next(self) -> Socket:
        return self.open[next(self._turn) % len(self.open)]
