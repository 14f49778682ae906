"""Discord: listens at the gateway, delivers by sending and editing messages. Nothing of the core but the seam."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from types import TracebackType
from typing import Self

from adapters.delivery import Limited, Pace, Planner, Rate, Unavailable, in_file_after
from adapters.discord import account, commands, shards
from adapters.discord.account import Account
from adapters.discord.addresses import renewed
from adapters.discord.channel import RoomChannel
from adapters.discord.intake import Intake
from adapters.discord.interaction import InteractionChannel
from adapters.discord.listening import Listening, Patience
from adapters.discord.rest import Rejected, Rest
from adapters.discord.seen import Seen
from adapters.discord.settings import DiscordSettings
from adapters.discord.shards import Door, Shard, TooFew
from adapters.discord.waiting import Waits
from adapters.features import Feature
from adapters.fetching import fetched
from adapters.gap import Gap
from adapters.wire import Wire
from core.commands import commands as core_commands
from core.errors import Refused, StoreUnavailable
from core.turns import Attachment, Event, Fleet, Inbox, Reply

__all__ = ["DiscordAdapter", "DiscordSettings", "Patience"]

log = logging.getLogger(__name__)

_WAITS_FOR_MISSED = 60.0  # seconds that a message waits for what was said before it and missed

# Five sends and five edits in five seconds for a channel, as Discord's answers say it, and fifty calls a second
# for a bot (https://discord.com/developers/docs/topics/rate-limits). discord.py holds the call that uses up a
# limit until that is over, so one less keeps it from ever being reached.
PACE = Pace(room=(Rate(4, 5.0),), bot=(Rate(40, 1.0),), draft_interval=1.25)

_TRIES_AT_START = 4


class DiscordAdapter:
    """One bot account. Enter it before `listen` and `deliver`; `bot`, the account's id, is known then.

    Entering raises `Refused` for a token that Discord does not know. `pace` is how often the bot may speak.
    """

    platform = "discord"
    supports = frozenset(Feature)

    def __init__(
        self, settings: DiscordSettings, fleet: Fleet, *, patience: Patience | None = None, pace: Pace = PACE
    ) -> None:
        self._settings = settings
        self._fleet = fleet
        self._pace = pace
        self._patience = patience or Patience()
        self._rest = Rest(settings)
        self.wire = Wire()
        self._account: Account | None = None
        self._planner: Planner | None = None
        self.bot = ""

    async def __aenter__(self) -> Self:
        try:
            self.bot = await self._who_we_are()
        except BaseException:
            await self._rest.close()
            raise
        self._planner = Planner(f"discord/{self.bot}", self._pace, self._fleet, wire=self.wire)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._rest.close()

    async def listen(self, inbox: Inbox) -> None:
        known = await self._known()
        while True:
            count, at_once = await self._shards()
            try:
                async with asyncio.TaskGroup() as group:
                    await self._listen(inbox, known, group, count, at_once)
            except ExceptionGroup as failed:
                if not isinstance(failed.exceptions[0], TooFew):
                    raise failed.exceptions[0] from failed
                log.warning("%d shards are too few for the bot's servers", count)
                await asyncio.sleep(self._patience.between_sessions)

    async def _listen(
        self, inbox: Inbox, known: Account, group: asyncio.TaskGroup, count: int, at_once: int
    ) -> None:
        seen = Seen(inbox, known.bot)
        await self._through(seen.load)
        group.create_task(seen.keep(), name="seen")
        group.create_task(self._offer_commands(inbox, known), name="commands")
        door = Door.of(self._patience.between_sessions, at_once)
        self.wire.parts.clear()
        for number in range(count):
            gap = Gap(_WAITS_FOR_MISSED)
            intake = Intake(inbox, self._rest, known.bot, group, gap, seen)
            listening = Listening(
                self._settings,
                known,
                Shard(number, count),
                door,
                self._rest,
                intake,
                seen,
                gap,
                group,
                self._patience,
                self.wire,
            )
            group.create_task(listening.run(), name=f"shard {number}")

    async def deliver(self, event: Event, reply: Reply) -> None:
        assert self._planner is not None, "deliver needs an entered adapter"
        address = event.room.address
        where = str(address["channel"])
        # A reply that goes on after a takeover has its first message already.
        first = next((part.message for part in reply.parts if part.message is not None), None)
        reply_to = address.get("reply_to")
        room = RoomChannel(
            self._rest,
            where,
            me=event.room.bot,
            asked=event.message or event.target,
            at=event.at,
            reply_to=None if reply_to is None or first is not None else str(reply_to),
        )
        in_file = in_file_after(self._settings.file_after, event.locale)
        token = address.get("token")
        if token is None:
            await self._planner.show(reply, room, room=where, in_file=in_file)
            return
        answer = InteractionChannel(
            self._rest,
            room,
            application=str(address["application"]),
            token=str(token),
            until=float(address["until"] or 0.0),
            private=bool(address["private"]),
            original=first,
        )
        if event.kind == "act" and event.target:
            room.aside = answer.tell  # what a button changes stands in the room; only a refusal is said aside
            await self._planner.show(reply, room, room=where, in_file=in_file)
            return
        await self._planner.show(reply, answer, room=where, in_file=in_file)

    @asynccontextmanager
    async def fetch(self, attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        address = await renewed(self._rest, str(attachment.address.get("url", "")))
        async with fetched(address, bases=self._settings.file_bases) as chunks:
            yield chunks

    async def _who_we_are(self) -> str:
        waits = self._waits()
        for _ in range(_TRIES_AT_START):
            try:
                self._account = await account.ask(self._rest)
            except (Limited, Rejected, Unavailable) as exc:
                log.warning("Discord does not answer yet: %s", exc)
                await waits.next(exc.after if isinstance(exc, Limited) else 0.0)
            else:
                return self._account.bot
        # Delivering needs no more than the id, and a token begins with it.
        if (bot := account.bot_of(self._settings)) is None:
            raise Refused(
                "discord", "it does not answer", fix=f"Can this machine reach {self._settings.api_base}?"
            )
        return bot

    async def _known(self) -> Account:
        waits = self._waits()
        while self._account is None:
            try:
                self._account = await account.ask(self._rest)
            except (Limited, Rejected, Unavailable) as exc:
                log.warning("Discord does not answer yet: %s", exc)
                await waits.next(exc.after if isinstance(exc, Limited) else 0.0)
        return self._account

    async def _shards(self) -> tuple[int, int]:
        """How many there are to be, and how many of them may begin at once."""
        waits, wanted = self._waits(), self._settings.shards
        while wanted != 1:
            try:
                start = await shards.ask(self._rest)
            except (Limited, Unavailable) as exc:
                log.warning("Discord does not say how many shards there should be: %s", exc)
                await waits.next(exc.after if isinstance(exc, Limited) else 0.0)
            except (KeyError, Rejected, TypeError, ValueError):
                break  # somebody else's server, which does not know the question
            else:
                return start.shards if wanted == "auto" else wanted, start.at_once
        return 1 if wanted == "auto" else wanted, 1

    async def _through(self, call: Callable[[], Awaitable[None]]) -> None:
        """Make a call until Discord and the store have both worked for it."""
        waits = self._waits()
        while True:
            try:
                await call()
            except (Limited, StoreUnavailable, Unavailable) as exc:
                log.warning("to be tried again: %s", exc)
                await waits.next(exc.after if isinstance(exc, Limited) else 0.0)
            else:
                return

    def _waits(self) -> Waits:
        return Waits(self._patience.first_wait, self._patience.longest_wait)

    async def _offer_commands(self, inbox: Inbox, known: Account) -> None:
        """And again when they have changed: the names of personas may be read anew."""
        while True:
            offered = core_commands()
            try:
                await self._through(lambda: commands.register(self._rest, inbox, known.application, known.name))
            except (Refused, Rejected) as exc:
                # Each of them has another way or can be done without; a mention works.
                log.warning("the commands were not registered: %s", exc)
            while core_commands() == offered:  # noqa: ASYNC110 - nobody tells when they change
                await asyncio.sleep(self._patience.look_every)
