"""Staying connected: discord.py's client, begun anew whenever it ends.

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
from adapters.discord.account import Account
from adapters.discord.events import Payload
from adapters.discord.gap import Gap
from adapters.discord.gateway import Gateway
from adapters.discord.intake import Intake
from adapters.discord.missed import read_missed
from adapters.discord.rest import Rejected, Rest
from adapters.discord.seen import Seen
from adapters.discord.settings import RESET_TOKEN, SWITCH_ON_CONTENT, DiscordSettings
from adapters.discord.waiting import Waits
from core.errors import Refused

log = logging.getLogger(__name__)

_CLOSE_WITHIN = 2.0
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
_REFUSED = {
    4004: ("the gateway does not accept the token", RESET_TOKEN),
    4010: ("the gateway does not accept our shard", "This is an error of ours: please report it."),
    4011: ("the bot is in too many servers for one connection", "Sharding is not supported: leave some servers."),
    4012: ("the gateway does not know our API version", "Upgrade discord.py."),
    4013: ("the gateway does not know our intents", "Upgrade discord.py."),
}


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to try, in seconds.

    After `connection` without a session discord.py's client is made anew. Waits grow from `first_wait` to
    `longest_wait`. Before a lost session is replaced Discord wants a wait of one to five:
    https://discord.com/developers/docs/events/gateway#resuming
    """

    connection: float = 120.0
    first_wait: float = 1.0
    longest_wait: float = 120.0
    new_session: tuple[float, float] = (1.0, 5.0)


class Listening:
    """The connection of one bot account. What is heard goes to `intake`; `group` is the parent of what is read."""

    def __init__(
        self,
        settings: DiscordSettings,
        account: Account,
        rest: Rest,
        intake: Intake,
        seen: Seen,
        gap: Gap,
        group: asyncio.TaskGroup,
        patience: Patience,
    ) -> None:
        self._settings = settings
        self._account = account
        self._rest = rest
        self._intake = intake
        self._seen = seen
        self._gap = gap
        self._has_begun = False
        self._group = group
        self._patience = patience
        self._waits = Waits(patience.first_wait, patience.longest_wait)
        self._reads_content = account.reads_content
        self._client: Gateway | None = None
        self._limit: asyncio.Timeout | None = None
        self._reading: asyncio.Task[None] | None = None

    async def run(self) -> None:
        """Listen until cancelled. Raises `Refused`."""
        if not self._reads_content:
            self._warn_of_content()
        while True:
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
            self._seen.note(str(payload["channel_id"]), int(payload["id"]), direct=payload.get("guild_id") is None)
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
        self._seen.begin_gap()
        if self._has_begun or not self._seen.is_new:
            self._gap.open()
        self._has_begun = True

    def ready(self) -> None:
        self._waits.reset()
        client = self._client
        if client is not None:
            if self._reading is not None:
                self._reading.cancel()  # the new reading begins where that one began
            self._reading = self._group.create_task(self._read_missed(client), name="missed")

    def away(self) -> None:
        if self._limit is not None and self._limit.when() is None:
            self._limit.reschedule(asyncio.get_running_loop().time() + self._patience.connection)

    def back(self) -> None:
        if self._limit is not None and not self._limit.expired():
            self._limit.reschedule(None)

    async def _session(self) -> None:
        client = self._client = Gateway(
            self,
            self._rest,
            self._account.bot,
            reads_content=self._reads_content,
            new_session=self._patience.new_session,
        )
        try:
            async with asyncio.timeout(self._patience.connection) as self._limit:
                await client.start(self._settings.token)
        finally:
            self._limit = None
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE_WITHIN):
                    await client.close()

    async def _direct(self) -> None:
        """Find out where to connect, and wait while Discord allows no more new sessions today: it would reset the
        token of a bot that begins too many."""
        while True:
            try:
                bot = await self._rest.call("GET", "/gateway/bot")
                url, start = str(bot["url"]), bot["session_start_limit"]
                wait = 0.0 if int(start["remaining"]) > 1 else float(start["reset_after"]) / 1000
            except (KeyError, Limited, Rejected, TypeError, Unavailable, ValueError) as exc:
                if self._settings.gateway_url is not None and not isinstance(exc, Limited | Unavailable):
                    # Somebody else's server may not know the question; the operator has answered it.
                    self._settings.direct_gateway(self._settings.gateway_url)
                    return
                log.warning("Discord does not say where its gateway is: %s", type(exc).__name__)
                await self._waits.next(exc.after if isinstance(exc, Limited) else 0.0)
            else:
                self._settings.direct_gateway(url)
                if wait:
                    log.error("Discord allows no new session for %.0f s", wait)
                    await asyncio.sleep(wait)
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
        after = self._seen.begin_gap()
        waits = Waits(self._patience.first_wait, min(self._patience.longest_wait, _LONGEST_UNREAD))
        await read_missed(
            client.guilds, self._seen.directs, after, self._rest, self._intake, client.place, self._gap, waits
        )
        self._seen.end_gap()
