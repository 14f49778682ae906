"""Staying connected: discord.py's client of one shard, begun anew whenever it ends.

discord.py ends for good when its first handshake is refused or an event cannot be parsed, and in between it would
wait up to seventeen minutes for the next try. Here nothing ends but for a refusal that only the operator can undo.
"""

import asyncio
import logging
import traceback
from contextlib import suppress
from dataclasses import dataclass

import discord  # noqa: TID251

from adapters.delivery import Limited, Unavailable
from adapters.discord import shards
from adapters.discord.account import Account
from adapters.discord.events import Payload
from adapters.discord.gateway import Gateway
from adapters.discord.intake import Intake
from adapters.discord.missed import read_missed
from adapters.discord.rest import Rejected, Rest
from adapters.discord.seen import Seen
from adapters.discord.settings import RESET_TOKEN, SWITCH_ON_CONTENT, DiscordSettings
from adapters.discord.shards import Door, Shard, TooFew
from adapters.discord.waiting import Waits
from adapters.gap import Gap
from adapters.wire import Wire
from core.errors import Refused

log = logging.getLogger(__name__)

_CLOSE_WITHIN = 2.0
_ASK_AGAIN = 0.1
_LONGEST_UNREAD = 30.0  # seconds between two tries to read what was missed


class _OnlyWhat(logging.Filter):
    """discord.py tells of each lost connection with a traceback, and what ends one may quote a message. What kind
    of error it was and when it tries again is all that an operator needs."""

    def filter(self, record: logging.LogRecord) -> bool:
        if record.exc_info and record.exc_info[0] is not None:
            record.msg, record.args = f"{record.getMessage()}: {record.exc_info[0].__name__}", ()
            record.exc_info, record.exc_text = None, None
            record.levelno, record.levelname = logging.WARNING, "WARNING"
        return True


# A filter is only asked by the logger that it was added to, not by those below it.
for _name in ("discord.client", "discord.gateway", "discord.state"):
    logging.getLogger(_name).addFilter(_OnlyWhat())

# https://discord.com/developers/docs/topics/opcodes-and-status-codes#gateway-gateway-close-event-codes
_TOO_FEW = 4011
_REFUSED = {
    4004: ("the gateway does not accept the token", RESET_TOKEN),
    4010: ("the gateway does not accept our shard", "This is an error of ours: please report it."),
    4011: ("the bot is in too many servers for its shards", 'Set discord.shards to "auto", or to more.'),
    4012: ("the gateway does not know our API version", "Upgrade discord.py."),
    4013: ("the gateway does not know our intents", "Upgrade discord.py."),
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try, in seconds.

    After `connection` without a session discord.py's client is made anew. Waits grow from `first_wait` to
    `longest_wait`. Before a lost session is replaced Discord wants a wait of one to five:
    https://discord.com/developers/docs/events/gateway#resuming, and five seconds `between_sessions` of shards that
    must not begin at once. `look_every`: between two looks whether other commands are offered now.
    """

    connection: float = 120.0
    first_wait: float = 1.0
    longest_wait: float = 120.0
    new_session: tuple[float, float] = (1.0, 5.0)
    between_sessions: float = 5.0
    look_every: float = 10.0


class Listening:
    """The connection of one shard of a bot account, which goes through `door`. What is heard goes to `intake` and
    is noted in `seen`; `group` is the parent of what is read, and `wire` is told whether there is a session."""

    def __init__(
        self,
        settings: DiscordSettings,
        account: Account,
        shard: Shard,
        door: Door,
        rest: Rest,
        intake: Intake,
        seen: Seen,
        gap: Gap,
        group: asyncio.TaskGroup,
        patience: Patience,
        wire: Wire,
    ) -> None:
        self._settings = settings
        self._account = account
        self._shard = shard
        self._door = door
        self._rest = rest
        self._intake = intake
        self._seen = seen
        self._sight = seen.by(shard)
        self._gap = gap
        self._has_begun = False
        self._directs: list[str] = []  # channels of direct messages that were known when this session began
        self._group = group
        self._patience = patience
        self._wire = wire
        self._waits = Waits(patience.first_wait, patience.longest_wait)
        self._reads_content = account.reads_content
        self._client: Gateway | None = None
        self._limit: asyncio.Timeout | None = None
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Listen until cancelled. Raises `Refused` and `TooFew`."""
        self._is_connected(connected=False)
        if not self._reads_content and self._shard.number == 0:
            self._warn_of_content()
        while True:
            await self._door.clients.next(self._shard)
            await self._direct()
            try:
                await self._session()
            except (discord.LoginFailure, discord.PrivilegedIntentsRequired, discord.ConnectionClosed) as exc:
                self._refused(exc)
            except Exception as exc:  # noqa: BLE001 - discord.py ends with whatever its parser stumbled over
                # Its text may hold a person's words, so only where it happened is told.
                at = traceback.extract_tb(exc.__traceback__)[-1]
                log.warning("the connection ended: %s at %s:%d", type(exc).__name__, at.filename, at.lineno)
            await self._waits.next()

    def message(self, payload: Payload) -> None:
        with suppress(KeyError, TypeError, ValueError):  # the intake says what cannot be read
            channel, message = str(payload["channel_id"]), int(payload["id"])
            self._sight.note(channel, message, direct=payload.get("guild_id") is None)
        if self._client is not None:
            self._intake.message(payload, self._client.place)

    def edit(self, payload: Payload) -> None:
        if self._client is not None:
            self._intake.edit(payload, self._client.place)

    def deletion(self, payload: Payload) -> None:
        if self._client is not None:
            self._intake.deletion(payload, self._client.place)

    def command(self, payload: Payload) -> None:
        self._intake.command(payload)

    def began(self) -> None:
        self._sight.begin_gap()
        self._directs = self._seen.directs if self._shard.number == 0 else []
        if self._has_begun or not self._seen.is_new:
            self._gap.open()
        self._has_begun = True

    def ready(self) -> None:
        self._waits.reset()
        client = self._client
        if client is not None:
            if self._reading is not None:
                self._reading.cancel()  # the new reading begins where that one began
            reading = self._read_missed(client)
            try:
                self._reading = self._group.create_task(reading, name="missed")
            except RuntimeError:  # the group is ending, and what listens is about to
                reading.close()

    def away(self) -> None:
        self._is_connected(connected=False)
        if self._limit is not None and self._limit.when() is None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._patience.connection)

    def back(self) -> None:
        self._is_connected(connected=True)
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(None)

    def _is_connected(self, *, connected: bool) -> None:
        if self._shard.count > 1:
            self._wire.part(str(self._shard.number), connected=connected)
        else:
            self._wire.connected = connected

    async def _session(self) -> None:
        client = self._client = Gateway(
            self,
            self._rest,
            self._account.bot,
            self._shard,
            self._door.sessions,
            reads_content=self._reads_content,
            new_session=self._patience.new_session,
        )
        # A task of its own, which ends with this one: see `_end`.
        session = asyncio.create_task(client.start(self._settings.token), name="session")  # noqa: TID251
        try:
            async with asyncio.timeout(self._patience.connection) as self._limit:
                await asyncio.wait([session])
            session.result()
        finally:
            self._limit = None
            self._is_connected(connected=False)
            try:
                with suppress(TimeoutError):
                    async with asyncio.timeout(_CLOSE_WITHIN):
                        await client.close()
            finally:
                await _end(session)

    async def _direct(self) -> None:
        """Find out where to connect, and wait while Discord allows no more new sessions today: it would reset the
        token of a bot that begins too many."""
        while True:
            try:
                start = await shards.ask(self._rest)
            except (KeyError, Limited, Rejected, TypeError, Unavailable, ValueError) as exc:
                if self._settings.gateway_url is not None and not isinstance(exc, Limited | Unavailable):
                    # Somebody else's server may not know the question; the operator has answered it.
                    self._settings.direct_gateway(self._settings.gateway_url)
                    return
                log.warning("Discord does not say where its gateway is: %s", type(exc).__name__)
                await self._waits.next(exc.after if isinstance(exc, Limited) else 0.0)
            else:
                self._settings.direct_gateway(start.url)
                if start.wait:
                    log.error("Discord allows no new session for %.0f s", start.wait)
                    await asyncio.sleep(start.wait)
                return

    def _refused(self, exc: Exception) -> None:
        """Raise `Refused`, if trying again is of no use."""
        match exc:
            case discord.LoginFailure():
                raise Refused("discord", "the token is not accepted", fix=RESET_TOKEN) from exc
            case discord.PrivilegedIntentsRequired() if self._reads_content:
                # Direct messages, mentions and most replies come with their words all the same. Better to answer
                # those than nobody.
                self._reads_content = False
                self._warn_of_content()
            case discord.PrivilegedIntentsRequired():
                raise Refused("discord", "the gateway does not allow our intents", fix=SWITCH_ON_CONTENT) from exc
            case discord.ConnectionClosed(code=int(code)) if code == _TOO_FEW and self._settings.shards == "auto":
                raise TooFew from exc
            case discord.ConnectionClosed(code=int(code)) if code in _REFUSED:
                why, fix = _REFUSED[code]
                raise Refused("discord", why, fix=fix) from exc
            case _:
                log.warning("Discord closed the connection: %s", type(exc).__name__)

    def _warn_of_content(self) -> None:
        log.warning(
            "without the Message Content Intent the bot does not understand what does not mention it: messages "
            "in its threads, and replies to it that do not call it. %s",
            SWITCH_ON_CONTENT,
        )

    async def _read_missed(self, client: Gateway) -> None:
        after = self._sight.begin_gap()
        waits = Waits(self._patience.first_wait, min(self._patience.longest_wait, _LONGEST_UNREAD))
        await read_missed(
            client.guilds, self._directs, after, self._rest, self._intake, client.place, self._gap, waits
        )
        self._sight.end_gap()


async def _end(session: asyncio.Task[None]) -> None:
    """Cancel it until it is over: discord.py connects within `asyncio.wait_for`, which before Python 3.12 forgets
    a cancellation that comes as what it waits for is done (https://github.com/python/cpython/issues/86296)."""
    while not session.done():
        session.cancel()
        await asyncio.wait([session], timeout=_ASK_AGAIN)
    if not session.cancelled():
        session.exception()  # it was told already, or nobody waits for it any more
