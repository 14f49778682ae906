"""The gateway of the loopback Discord: identify, heartbeats, sessions to resume, and what can go wrong."""

import asyncio
import itertools
import json
import time
import zlib
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Literal

from aiohttp import web

from tests.fakes.discord_world import (
    DIRECT,
    FLAG_CONTENT,
    INTENT_CONTENT,
    INTENT_DIRECT_MESSAGES,
    INTENT_GUILD_MESSAGES,
    INTENT_GUILDS,
    Json,
    Room,
    World,
)

_NOT_AUTHENTICATED, _INVALID_SHARD, _SHARDING_REQUIRED, _DISALLOWED_INTENTS = 4004, 4010, 4011, 4014
_HEARTBEAT, _IDENTIFY, _RESUME = 1, 2, 6
_RECONNECT, _INVALID_SESSION, _HELLO, _HEARTBEAT_ACK = 7, 9, 10, 11
_PRIVILEGED = INTENT_CONTENT | 1 << 1 | 1 << 8


class Socket:
    """One websocket, compressed if its client asked for that. What is put is sent in order by `write`."""

    def __init__(self, response: web.WebSocketResponse, request: web.Request) -> None:
        self._response = response
        self._transport = request.transport
        self._outgoing: asyncio.Queue[str | int] = asyncio.Queue()
        self._compressor = zlib.compressobj() if request.query.get("compress") == "zlib-stream" else None

    def put(self, payload: Json) -> None:
        self._outgoing.put_nowait(json.dumps(payload))

    def put_text(self, text: str) -> None:
        self._outgoing.put_nowait(text)

    def close(self, code: int) -> None:
        """Close after what was put before."""
        self._outgoing.put_nowait(code)

    def cut(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    async def write(self) -> None:
        with suppress(ConnectionError):  # cut; the reader notices too
            await self._write_for_ever()

    async def _write_for_ever(self) -> None:
        while True:
            match await self._outgoing.get():
                case int(code):
                    await self._response.close(code=code)
                case _ if self._response.closed:
                    pass
                case str(text) if self._compressor is not None:
                    packed = self._compressor.compress(text.encode()) + self._compressor.flush(zlib.Z_SYNC_FLUSH)
                    await self._response.send_bytes(packed)
                case str(text):
                    await self._response.send_str(text)


@dataclass(slots=True)
class Session:
    """What a client gets back when it resumes; it has the events of its shard of so many."""

    id: str
    intents: int
    shard: int = 0
    count: int = 1
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(1))
    dispatched: list[Json] = field(default_factory=list)
    socket: Socket | None = None


class FakeGateway:
    """Sends what happens in `world`, each shard its own servers'. `connections`, `identified` and `resumed` count
    what clients did, and `began` has the moment of each identify with its shard. A client with fewer than
    `fewest_shards` is sent away. An identify that comes sooner than `spacing` seconds after another one in its
    lane is not taken, and is counted in `too_soon`; there are as many `lanes` as shards may identify at once.
    """

    def __init__(self, world: World) -> None:
        self._world = world
        self._sessions: dict[str, Session] = {}
        self._refusals = 0
        self.down = False  # then every handshake is answered with 503
        self.url = ""
        self.sessions_left = 1000
        self.connections = self.identified = self.resumed = 0
        self.fewest_shards = self.lanes = 1
        self.spacing = 0.0
        self.too_soon = 0
        self._numbers = itertools.count(1)
        self.began: list[tuple[float, int]] = []

    @property
    def connected(self) -> int:
        """How many clients have a session and a socket for it."""
        return sum(session.socket is not None for session in self._sessions.values())

    def refuse(self, times: int) -> None:
        """Answer the next handshakes with 503."""
        self._refusals = times

    def drop(self) -> None:
        """Cut every connection without a word. The sessions can be resumed."""
        for socket in self._sockets():
            socket.cut()

    def forget_shard(self, shard: int) -> None:
        """Cut the connection of one shard. Its session cannot be resumed."""
        for session in [each for each in self._sessions.values() if each.shard == shard]:
            del self._sessions[session.id]
            if session.socket is not None:
                session.socket.cut()

    @property
    def shards(self) -> list[int]:
        """Those that have a session and a socket for it."""
        return sorted(each.shard for each in self._sessions.values() if each.socket is not None)

    def reconnect(self) -> None:
        """Ask every client to connect again and resume."""
        for socket in self._sockets():
            socket.put({"op": _RECONNECT, "d": None})

    def forget(self) -> None:
        """Cut every connection. No session can be resumed, and what is said meanwhile is not kept for it."""
        sockets, self._sessions = self._sockets(), {}
        for socket in sockets:
            socket.cut()

    def invalidate(self) -> None:
        """Tell every client that its session is over. What is said until it has a new one is not delivered."""
        sockets, self._sessions = self._sockets(), {}
        for socket in sockets:
            socket.put({"op": _INVALID_SESSION, "d": False})

    def close(self, code: int) -> None:
        for socket in self._sockets():
            socket.close(code)

    def garbage(self, kind: Literal["text", "event"]) -> None:
        """Send something that is not JSON, or an event without what every event of its kind has."""
        for session in self._sessions.values():
            if kind == "text" and session.socket is not None:
                session.socket.put_text("<html>502</html>")
            elif kind == "event":
                self._dispatch(session, "CHANNEL_UPDATE", {"nothing": "of use"})

    def say(self, kind: str, data: Json, room: Room) -> None:
        """Dispatch an event to every session that may hear of it, now or when it resumes."""
        for session in self._sessions.values():
            if (heard := self._heard(session, kind, data, room)) is not None:
                self._dispatch(session, kind, heard)

    def _sockets(self) -> list[Socket]:
        return [session.socket for session in self._sessions.values() if session.socket is not None]

    async def handle(self, request: web.Request) -> web.StreamResponse:
        self.connections += 1
        if self._refusals or self.down:
            self._refusals = max(0, self._refusals - 1)
            self._world.wake()
            return web.Response(status=503, text="<html>no</html>", content_type="text/html")
        response = web.WebSocketResponse(compress=False)
        await response.prepare(request)
        socket = Socket(response, request)
        async with asyncio.TaskGroup() as group:
            writer = group.create_task(socket.write(), name="gateway writer")
            await self._read(response, socket)
            writer.cancel()
        return response

    async def _read(self, response: web.WebSocketResponse, socket: Socket) -> None:
        socket.put({"op": _HELLO, "d": {"heartbeat_interval": 41250}, "s": None, "t": None})
        session: Session | None = None
        try:
            async for message in response:
                payload = json.loads(message.data)
                if payload["op"] == _HEARTBEAT:
                    socket.put({"op": _HEARTBEAT_ACK, "d": None})
                elif payload["op"] == _IDENTIFY:
                    session = self._identify(socket, payload["d"])
                elif payload["op"] == _RESUME:
                    session = self._resume(socket, payload["d"])
        finally:
            if session is not None and session.socket is socket:
                session.socket = None
            self._world.wake()

    def _identify(self, socket: Socket, asked: Json) -> Session | None:
        world = self._world
        if asked["token"] != world.token:
            socket.close(_NOT_AUTHENTICATED)
            return None
        allowed = INTENT_CONTENT if world.flags & FLAG_CONTENT else 0
        if asked["intents"] & _PRIVILEGED & ~allowed:
            socket.close(_DISALLOWED_INTENTS)
            return None
        shard, count = asked.get("shard", (0, 1))
        if not 0 <= shard < count:
            socket.close(_INVALID_SHARD)
            return None
        if count < self.fewest_shards:
            socket.close(_SHARDING_REQUIRED)
            return None
        now = time.monotonic()
        lane = [at for at, other in self.began if other % self.lanes == shard % self.lanes]
        if lane and now - lane[-1] < self.spacing:
            self.too_soon += 1
            socket.put({"op": _INVALID_SESSION, "d": False})
            return None
        self.began.append((now, shard))
        session = Session(f"session{next(self._numbers)}", asked["intents"], shard, count, socket=socket)
        self._sessions[session.id] = session
        self.identified += 1
        guilds = [guild for guild in world.guilds if _is_of(session, guild)]
        ready = {
            "v": 10,
            "user": world.bot.payload | {"verified": True, "mfa_enabled": False, "email": None, "flags": 0},
            "guilds": [{"id": guild, "unavailable": True} for guild in guilds],
            "shard": [shard, count],
            "session_id": session.id,
            "resume_gateway_url": self.url,
            "application": {"id": world.application, "flags": world.flags},
            "private_channels": [],
        }
        self._dispatch(session, "READY", ready)
        for guild in guilds:
            self._dispatch(session, "GUILD_CREATE", world.guild_payload(guild))
        world.wake()
        return session

    def _resume(self, socket: Socket, asked: Json) -> Session | None:
        session = self._sessions.get(asked["session_id"])
        if session is None or asked["token"] != self._world.token:
            socket.put({"op": _INVALID_SESSION, "d": False})
            return None
        session.socket = socket
        for payload in session.dispatched:
            if payload["s"] > asked["seq"]:
                socket.put(payload)
        self.resumed += 1
        self._dispatch(session, "RESUMED", {})
        self._world.wake()
        return session

    def _dispatch(self, session: Session, kind: str, data: Json) -> None:
        payload = {"op": 0, "t": kind, "s": next(session.numbers), "d": data}
        session.dispatched.append(payload)
        if session.socket is not None:
            session.socket.put(payload)

    def _heard(self, session: Session, kind: str, data: Json, room: Room) -> Json | None:
        if room.forbidden == "access" or not _is_of(session, room.guild):
            return None
        if kind.startswith("MESSAGE"):
            needed = INTENT_DIRECT_MESSAGES if room.kind == DIRECT else INTENT_GUILD_MESSAGES
            if not session.intents & needed:
                return None
            return data if session.intents & INTENT_CONTENT else self._world.blanked(data, room)
        if kind.startswith(("CHANNEL", "THREAD", "GUILD")) and not session.intents & INTENT_GUILDS:
            return None
        return data


def _is_of(session: Session, guild: str) -> bool:
    """Whether a session hears of a server; of no server are direct messages."""
    return (int(guild) >> 22) % session.count == session.shard if guild else session.shard == 0
