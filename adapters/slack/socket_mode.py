"""Socket Mode: a WebSocket that we open and over which Slack pushes events, each to be acknowledged.

    apps.connections.open → URL, good for one connection → hello → envelopes, acknowledgements
                                                         → disconnect, some seconds before Slack closes

The protocol is spoken here and not by the SDK's client, because that one tries a spent URL again without end,
never says that a token was refused, handles events in no order and without a bound, and closes the old connection
before it has a new one. What comes goes through Bolt (`adapters.slack.dispatch`), and Bolt's answer back.

https://docs.slack.dev/apis/events-api/using-socket-mode
"""

import asyncio
import json
import logging
from typing import Any

import aiohttp
from slack_bolt.adapter.socket_mode.async_internals import run_async_bolt_app  # noqa: TID251
from slack_bolt.async_app import AsyncApp  # noqa: TID251
from slack_sdk.socket_mode.request import SocketModeRequest  # noqa: TID251
from slack_sdk.socket_mode.response import SocketModeResponse  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.delivery import Limited
from adapters.slack.client import FAILURES, error_of, translated
from adapters.slack.dispatch import UNREADABLE
from adapters.slack.listeners import Listeners
from adapters.slack.refusals import SOCKET_MODE
from adapters.slack.waiting import Waits
from core.errors import Refused

log = logging.getLogger(__name__)

# aiohttp pings at this pace, and a connection that does not answer is over.
_HEARTBEAT = 10.0
_CONNECT_WITHIN = 20.0
# A connection that ended sooner is no reason to hurry with the next one. Slack's last for hours.
_STEADY = 10.0
# After its `disconnect` Slack closes within seconds; a connection that stays is closed by us.
_STAYS = 30.0
# Envelopes in hand on one connection. While there are so many, no more are read.
_AT_ONCE = 200


class SocketMode:
    """Keeps one connection open, and during a change of it two. `app` handles what comes; `listeners` are told of
    each connection over which events can come."""

    def __init__(
        self,
        client: AsyncWebClient,
        session: aiohttp.ClientSession,
        app_token: str,
        app: AsyncApp,
        listeners: Listeners,
        waits: Waits,
    ) -> None:
        self._client = client
        self._session = session
        self._app_token = app_token
        self._app = app
        self._listeners = listeners
        self._waits = waits

    async def run(self) -> None:
        """Until cancelled. Raises `Refused` when Slack will not have us."""
        try:
            async with asyncio.TaskGroup() as group:
                while True:
                    await self._connect(group)
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _connect(self, group: asyncio.TaskGroup) -> None:
        """One connection, until it is time for the next one. The old one is read to its end meanwhile."""
        try:
            socket = await self._open()
        except FAILURES as exc:
            await self._wait_after(exc)
            return
        connection = _Connection(socket, self._app, self._listeners)
        group.create_task(connection.run(), name="socket mode")
        began = asyncio.get_running_loop().time()
        await connection.leaving.wait()
        if asyncio.get_running_loop().time() - began >= _STEADY:
            self._waits.reset()
        else:
            await self._waits.next()

    async def _open(self) -> aiohttp.ClientWebSocketResponse:
        async with asyncio.timeout(_CONNECT_WITHIN):
            answer = await self._client.apps_connections_open(app_token=self._app_token)
            url = str(answer["url"])
            return await self._session.ws_connect(url, heartbeat=_HEARTBEAT, proxy=self._client.proxy)

    async def _wait_after(self, exc: Exception) -> None:
        meant = translated(exc, kind="app")
        if isinstance(meant, Refused):
            raise meant from exc
        # The exception's own text may hold the URL, which is a key to the connection.
        log.warning("no connection to Slack yet: %s", error_of(exc) or type(exc).__name__)
        await self._waits.next(at_least=meant.after if isinstance(meant, Limited) else 0.0)


class _Connection:
    """One WebSocket. `leaving` is set when another one is needed."""

    def __init__(self, socket: aiohttp.ClientWebSocketResponse, app: AsyncApp, listeners: Listeners) -> None:
        self.leaving = asyncio.Event()
        self._socket = socket
        self._app = app
        self._listeners = listeners
        self._greeted = False
        self._free = asyncio.Semaphore(_AT_ONCE)

    async def run(self) -> None:
        try:
            async with asyncio.timeout(None) as patience, asyncio.TaskGroup() as group:
                async for frame in self._socket:
                    await self._on_frame(frame, patience, group)
        except TimeoutError:
            log.info("Slack did not close a connection that it said it would; closed")
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed
        finally:
            if self._greeted:
                self._listeners.leave()
            self.leaving.set()
            await self._socket.close()

    async def _on_frame(
        self, frame: aiohttp.WSMessage, patience: asyncio.Timeout, group: asyncio.TaskGroup
    ) -> None:
        if frame.type is not aiohttp.WSMsgType.TEXT:
            return
        try:
            message = json.loads(frame.data)
            kind = message.get("type")
            request = SocketModeRequest.from_dict(message)
        except UNREADABLE as exc:
            log.warning("a frame that cannot be read is left out: %s", type(exc).__name__)
            return
        if kind == "hello" and not self._greeted:
            self._greeted = True
            self._listeners.arrive()
        elif kind == "disconnect":
            self._on_disconnect(message.get("reason"), patience)
        elif request is not None:
            await self._free.acquire()
            group.create_task(self._handle(request), name="envelope")

    def _on_disconnect(self, reason: Any, patience: asyncio.Timeout) -> None:
        if reason == "link_disabled":
            raise Refused("slack", "Socket Mode is switched off for the app", fix=SOCKET_MODE)
        log.info("Slack asks for a new connection: %s", reason)
        self.leaving.set()
        patience.reschedule(asyncio.get_running_loop().time() + _STAYS)

    async def _handle(self, request: SocketModeRequest) -> None:
        try:
            response = await run_async_bolt_app(self._app, request)
            if response.status != 200:
                return
            payload = json.loads(response.body) if response.body else None
            acknowledgement = SocketModeResponse(envelope_id=request.envelope_id, payload=payload)
            await self._socket.send_json(acknowledgement.to_dict())
        except UNREADABLE as exc:
            log.warning("an envelope that cannot be read is left out: %s", type(exc).__name__)
        except (aiohttp.ClientError, OSError):
            log.info("the connection went before an acknowledgement; Slack sends the event again")
        finally:
            self._free.release()
