"""One gateway session after another, as discord.py keeps them, and what its cache knows of channels.

Payloads are taken as they came: what discord.py cannot parse ends its client, but is not lost for us. Knows
nothing of accepting; it hands on payloads of messages and commands.
"""

import asyncio
import logging
import random
import threading
from dataclasses import replace
from typing import Any, Protocol

import aiohttp
import discord  # noqa: TID251
import msgspec
from discord.gateway import KeepAliveHandler  # noqa: TID251

from adapters.delivery import Limited, Unavailable
from adapters.discord.events import Payload, Place, is_thread
from adapters.discord.rest import Rejected, Rest
from adapters.discord.shards import Shard, Turns

log = logging.getLogger(__name__)

# We never speak aloud, so nobody needs to be told that what that takes is not installed.
discord.VoiceClient.warn_nacl = discord.VoiceClient.warn_dave = False

_HEARTBEAT_PATIENCE = 30.0
_THREADS_ASKED = 2000


class Heard(Protocol):
    """Who is told of what the gateway says."""

    def message(self, payload: Payload) -> None: ...

    def edit(self, payload: Payload) -> None: ...

    def deletion(self, payload: Payload) -> None: ...

    def command(self, payload: Payload) -> None: ...

    def began(self) -> None:
        """A new session: what was said between the last one and this one will not be delivered."""

    def ready(self) -> None:
        """All servers of the new session are known."""

    def away(self) -> None:
        """The connection is cut, or could not be made again."""

    def back(self) -> None:
        """There is a session again, new or resumed."""


class _Dispatch(msgspec.Struct, frozen=True):
    """A gateway payload, of which only the envelope is decoded."""

    op: int
    d: msgspec.Raw = msgspec.Raw(b"null")
    t: str | None = None


class Gateway(discord.Client):
    """discord.py's client for one shard of the bot `me`. `reads_content`: ask also for what does not mention us.
    `turns` are those of shards that begin sessions; `new_session`: between how many seconds to wait before a lost
    session is replaced."""

    def __init__(
        self,
        heard: Heard,
        rest: Rest,
        me: str,
        shard: Shard,
        turns: Turns,
        *,
        reads_content: bool,
        new_session: tuple[float, float],
    ) -> None:
        super().__init__(
            intents=discord.Intents(
                guilds=True, guild_messages=True, dm_messages=True, message_content=reads_content
            ),
            allowed_mentions=discord.AllowedMentions.none(),
            chunk_guilds_at_startup=False,
            enable_debug_events=True,
            heartbeat_timeout=_HEARTBEAT_PATIENCE,
            max_messages=None,
            shard_id=shard.number,
            shard_count=shard.count,
            member_cache_flags=discord.MemberCacheFlags.none(),
        )
        self._heard = heard
        self._rest = rest
        self._me = me
        self._shard = shard
        self._turns = turns
        self._new_session = new_session
        self._asked: dict[int, Place] = {}
        self._socket: aiohttp.ClientWebSocketResponse | None = None
        self._connected, self.http.ws_connect = self.http.ws_connect, self._connect  # type: ignore[method-assign]

    async def close(self) -> None:
        # Of a session that is still being made discord.py has nothing in hand.
        for thread in threading.enumerate():
            if isinstance(thread, KeepAliveHandler) and thread.ws.socket is self._socket:
                thread.stop()
        if self._socket is not None and (self.ws is None or self.ws.socket is not self._socket):
            await self._socket.close()
        await super().close()

    async def _connect(self, url: str, *, compress: int = 0) -> aiohttp.ClientWebSocketResponse:
        self._socket = await self._connected(url, compress=compress)
        return self._socket

    def dispatch(self, event: str, /, *args: Any, **kwargs: Any) -> None:
        # A closed client has no loop any more, but may still have a task that waits to say that it is ready.
        if not self.is_closed():
            super().dispatch(event, *args, **kwargs)

    async def on_socket_raw_receive(self, text: str) -> None:
        try:
            envelope = msgspec.json.decode(text, type=_Dispatch)
            match envelope.t:
                case "MESSAGE_CREATE":
                    self._heard.message(msgspec.json.decode(envelope.d))
                case "MESSAGE_UPDATE":
                    self._heard.edit(msgspec.json.decode(envelope.d))
                case "MESSAGE_DELETE":
                    self._heard.deletion(msgspec.json.decode(envelope.d))
                case "MESSAGE_DELETE_BULK":
                    several = msgspec.json.decode(envelope.d)
                    for message in several["ids"]:
                        self._heard.deletion({**several, "id": message})
                case "INTERACTION_CREATE":
                    self._heard.command(msgspec.json.decode(envelope.d))
        except (KeyError, msgspec.MsgspecError) as exc:
            log.warning("the gateway sent something that cannot be read: %s", type(exc).__name__)

    async def on_connect(self) -> None:
        self._asked.clear()
        self._heard.began()
        self._heard.back()

    async def on_ready(self) -> None:
        self._heard.ready()

    async def on_resumed(self) -> None:
        self._heard.back()

    async def on_disconnect(self) -> None:
        self._heard.away()

    async def on_thread_remove(self, thread: discord.Thread) -> None:
        thread.me = None
        self._asked.pop(thread.id, None)

    async def before_identify_hook(self, shard_id: int | None, *, initial: bool = False) -> None:  # noqa: ARG002
        if not initial:
            await asyncio.sleep(random.uniform(*self._new_session))  # noqa: S311 - spreads load only
        await self._turns.next(self._shard)

    async def place(self, payload: Payload) -> Place:
        """Where a message was written. Asks the API only for a thread that the cache does not know enough of."""
        if payload.get("guild_id") is None:
            return Place()
        number = int(payload["channel_id"])
        guild = self.get_guild(int(payload["guild_id"]))
        channel = None if guild is None else guild.get_channel_or_thread(number)
        roles, names = _names(guild, payload)
        thread = Place()
        if isinstance(channel, discord.Thread) or (channel is None and is_thread(payload.get("channel_type"))):
            thread = await self._thread(number, channel if isinstance(channel, discord.Thread) else None)
        locale = "" if guild is None else str(guild.preferred_locale)
        return replace(thread, roles=roles, names=names, locale=locale)

    async def _thread(self, number: int, known: discord.Thread | None) -> Place:
        if known is not None and (known.me is not None or str(known.owner_id) == self._me):
            return Place(thread=True, parent=str(known.parent_id), ours=True)
        if (asked := self._asked.get(number)) is not None:
            return asked
        # The cache forgets a thread when it is archived, and with it that we are part of it.
        try:
            channel = await self._rest.message("GET", "/channels/{channel_id}", channel_id=str(number))
        except (Limited, Rejected, Unavailable) as exc:
            log.info("thread %d is not known: %s", number, exc)
            return Place(thread=True, parent="" if known is None else str(known.parent_id))
        ours = str(channel.get("owner_id")) == self._me or await self._member_of(number)
        asked = self._asked[number] = Place(thread=True, parent=str(channel.get("parent_id") or ""), ours=ours)
        if len(self._asked) > _THREADS_ASKED:
            del self._asked[next(iter(self._asked))]
        return asked

    async def _member_of(self, thread: int) -> bool:
        try:
            await self._rest.message(
                "GET",
                "/channels/{channel_id}/thread-members/{user_id}",
                channel_id=str(thread),
                user_id=self._me,
            )
        except (Limited, Rejected, Unavailable):
            return False
        return True


def _names(guild: discord.Guild | None, payload: Payload) -> tuple[frozenset[str], dict[str, str]]:
    """Our own roles, and what the roles and channels in the message's text are called."""
    content = str(payload.get("content") or "")
    if guild is None or not (payload.get("mention_roles") or "<#" in content):
        return frozenset(), {}
    names = {
        str(number): role.name
        for number in payload.get("mention_roles", ())
        if (role := guild.get_role(int(number)))
    }
    for channel in (*guild.channels, *guild.threads):
        if f"<#{channel.id}>" in content:
            names[str(channel.id)] = channel.name
    ours = guild.self_role
    return frozenset(() if ours is None else {str(ours.id)}), names
