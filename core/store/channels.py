"""One connection for all channels that somebody in this process listens to.

Channels only wake and hurry: what is published while nobody is connected is lost, and every listener must find it
out in another way. `resumed` tells it when there was such a gap. This module knows nothing of what is said.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Literal

from redis.asyncio.client import PubSub
from redis.asyncio.connection import AbstractConnection

from core.errors import StoreUnavailable
from core.store.background import Background
from core.store.client import Client

log = logging.getLogger(__name__)

_SUBSCRIBE_SECONDS = 5.0
_RETRY_SECONDS = 0.5
_PING_SECONDS = 15.0


@dataclass(eq=False, slots=True)
class _Listener:
    receive: Callable[[bytes], None]
    resumed: Callable[[], None]
    subscribed: asyncio.Event = field(default_factory=asyncio.Event)


class Channels:
    """The channels of one process. `run` must run while there are listeners."""

    def __init__(self, client: Client, tasks: Background) -> None:
        self._client = client
        self._tasks = tasks
        self._listeners: dict[str, set[_Listener]] = {}
        self._pubsub: PubSub | None = None
        self._wanted = asyncio.Event()
        self._heard = True

    async def run(self) -> None:
        """Keep connected, and subscribed to what is listened to, until cancelled."""
        await self._wanted.wait()
        while True:
            try:
                async with self._client.pubsub() as pubsub:
                    await self._listen(pubsub)
            except StoreUnavailable as exc:
                log.log(logging.WARNING if self._heard else logging.DEBUG, "channels are interrupted: %s", exc)
                self._heard = False
                await asyncio.sleep(_RETRY_SECONDS)

    @asynccontextmanager
    async def listening(
        self, channel: str, receive: Callable[[bytes], None], *, resumed: Callable[[], None] = lambda: None
    ) -> AsyncIterator[None]:
        """`receive` gets each message of the channel while the block runs; neither callback may wait.

        Raises `StoreUnavailable` when the server does not confirm in time.
        """
        listener = _Listener(receive, resumed)
        listeners = self._listeners.setdefault(channel, set())
        listeners.add(listener)
        try:
            await self._subscribe(channel, listener)
            yield
        finally:
            listeners.discard(listener)
            if not listeners and self._listeners.get(channel) is listeners:
                del self._listeners[channel]
                await self._say("UNSUBSCRIBE", channel)

    async def _subscribe(self, channel: str, listener: _Listener) -> None:
        self._wanted.set()
        try:
            async with asyncio.timeout(_SUBSCRIBE_SECONDS):
                # Also when others listen already: the confirmation must come after this moment.
                await self._say("SUBSCRIBE", channel)
                await listener.subscribed.wait()
        except TimeoutError as exc:
            raise StoreUnavailable(f"{self._client.describe()} does not confirm a subscription") from exc

    async def _say(self, command: Literal["SUBSCRIBE", "UNSUBSCRIBE"], channel: str) -> None:
        """Put in a word on the connection that `_listen` reads.

        Where it is broken nothing need be said: `_listen` starts anew, with all channels that are listened to. Not
        by `PubSub.subscribe`: that would connect again, as the reader does, and one of the two would be lost.
        """
        connection: AbstractConnection | None = None if self._pubsub is None else self._pubsub.connection

        async def send() -> None:
            if connection is not None and connection.is_connected:
                await connection.send_command(command, channel, check_health=False)

        with suppress(Exception):
            await self._tasks.call(send)

    async def _listen(self, pubsub: PubSub) -> None:
        await pubsub.connect()  # type: ignore[no-untyped-call]  # who wanted to listen may have gone again
        subscribed: set[str] = set()
        while missing := self._listeners.keys() - subscribed:
            await pubsub.subscribe(*missing)
            subscribed |= missing
        self._pubsub = pubsub
        try:
            await self._hand_out(pubsub)
        finally:
            self._pubsub = None

    async def _hand_out(self, pubsub: PubSub) -> None:
        while True:
            message = await pubsub.get_message(timeout=_PING_SECONDS)
            if message is None:
                await pubsub.ping()
            elif message["type"] == "subscribe":
                self._confirm(message["channel"].decode())
            elif message["type"] == "message":
                self._receive(message["channel"].decode(), message["data"])

    def _receive(self, channel: str, data: bytes) -> None:
        for listener in tuple(self._listeners.get(channel, ())):
            try:
                listener.receive(data)
            except (StoreUnavailable, ValueError):
                # The text of a ValueError may hold what was said.
                log.warning("a message on %s was not written by this version", channel)

    def _confirm(self, channel: str) -> None:
        self._heard = True
        for listener in tuple(self._listeners.get(channel, ())):
            if listener.subscribed.is_set():
                listener.resumed()
            listener.subscribed.set()
