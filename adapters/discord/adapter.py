"""Discord: listens at the gateway, delivers by sending and editing messages. Nothing of the core but the seam."""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AbstractAsyncContextManager
from types import TracebackType
from typing import Self

from adapters.delivery import Limited, Pace, Planner, Rate, Unavailable
from adapters.discord import account, commands
from adapters.discord.account import Account
from adapters.discord.channel import RoomChannel
from adapters.discord.gap import Gap
from adapters.discord.intake import Intake
from adapters.discord.interaction import InteractionChannel
from adapters.discord.listening import Listening, Patience
from adapters.discord.rest import Rejected, Rest
from adapters.discord.seen import Seen
from adapters.discord.settings import DiscordSettings
from adapters.discord.waiting import Waits
from adapters.features import Feature
from adapters.fetching import fetched
from core.errors import Refused, StoreUnavailable
from core.turns import Attachment, Event, Fleet, Inbox, Reply

__all__ = ["DiscordAdapter", "DiscordSettings", "Patience"]

log = logging.getLogger(__name__)

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
        self._account: Account | None = None
        self._planner: Planner | None = None
        self.bot = ""

    async def __aenter__(self) -> Self:
        try:
            self.bot = await self._who_we_are()
        except BaseException:
            await self._rest.close()
            raise
        self._planner = Planner(f"discord/{self.bot}", self._pace, self._fleet)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._rest.close()

    async def listen(self, inbox: Inbox) -> None:
        known = await self._known()
        try:
            async with asyncio.TaskGroup() as group:
                seen = Seen(inbox, known.bot)
                await self._through(seen.load)
                gap = Gap()
                intake = Intake(inbox, self._rest, known.bot, group, gap, seen)
                group.create_task(seen.keep(), name="seen")
                group.create_task(self._offer_commands(inbox, known.application), name="commands")
                listening = Listening(self._settings, known, self._rest, intake, seen, gap, group, self._patience)
                await listening.run()
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

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
        token = address.get("token")
        if token is None:
            await self._planner.show(reply, room, room=where)
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
        if event.kind == "act":
            room.aside = answer.tell  # what a button changes stands in the room; only a refusal is said aside
            await self._planner.show(reply, room, room=where)
            return
        await self._planner.show(reply, answer, room=where)

    def fetch(self, attachment: Attachment) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        return fetched(str(attachment.address.get("url", "")), bases=self._settings.file_bases)

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

    async def _offer_commands(self, inbox: Inbox, application: str) -> None:
        try:
            await self._through(lambda: commands.register(self._rest, inbox, application))
        except (Refused, Rejected) as exc:
            # Each of them has another way or can be done without; a mention works.
            log.warning("the slash commands were not registered: %s", exc)
