"""From Slack's events to accepted ones: what Socket Mode and HTTP have in common.

Knows neither how an event came nor how Slack is told that we have it. An event is ours when `take` returns; Slack
sends it again when it is not told so within three seconds (https://docs.slack.dev/apis/events-api#responding).
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import msgspec
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.gap import Gap
from adapters.slack.attendance import Attendance
from adapters.slack.client import FAILURES, error_of
from adapters.slack.events import (
    Account,
    Address,
    Message,
    addressed,
    edited,
    read,
    to_delete,
    to_edit,
    to_event,
    to_press,
)
from adapters.slack.history import Messages, read_page
from adapters.slack.lanes import Lanes
from adapters.slack.names import Names
from adapters.slack.readable import mentioned
from adapters.slack.threads import Threads
from adapters.slack.waiting import patiently
from core.errors import Overloaded
from core.languages import translated
from core.turns import Event, Inbox

log = logging.getLogger(__name__)

TAKEN_WITHIN = 2.5
"""Seconds that an event or a command may take to be ours, so that Slack hears of it within three."""

WAITS_FOR_MISSED = 1.5
"""Of these, the seconds that it may wait for what was missed before it."""

_SAID_WITHIN = 1.0
_RECENT = 24 * 3600.0
_HISTORY, _HISTORY_WITHIN = 20, 1.0  # messages of a thread that the bot is called into, and seconds to read them


def place_of(channel: str, thread: str | None) -> str:
    """The name of a channel, or of a thread in it, by which what was missed is told apart."""
    return f"{channel}/{thread}" if thread else channel


class NotTaken(Exception):
    """The event is not ours, and Slack must not be told that it is: it is to be brought again."""


class Intake:
    """Takes the events of one bot, `me`. Those of one channel are taken in the order in which they come, after
    those that `gap` says were missed there."""

    def __init__(
        self, inbox: Inbox, client: AsyncWebClient, me: Account, attendance: Attendance, gap: Gap
    ) -> None:
        self.inbox = inbox
        self.me = me
        self._client = client
        self._attendance = attendance
        self._gap = gap
        self.names = Names(client)
        self.threads = Threads(inbox, me.id)
        self._lanes = Lanes()

    async def take(self, payload: Mapping[str, Any], *, missed: bool = False) -> None:
        """Accept what is for us in the inner event `payload`, which was just heard, or else `missed`; when this
        returns, it is durable.

        Raises `NotTaken` when the store does not take it in time.
        """
        try:
            if (deletion := to_delete(payload, self.me)) is not None:
                await self._take_at_once(deletion)
                return
            now = edited(payload)
            message = read(payload if now is None else now)
        except (AttributeError, LookupError, msgspec.ValidationError, TypeError, ValueError) as exc:
            log.warning("an event that cannot be read is left out: %s", type(exc).__name__)
            return
        if message is None or message.user == self.me.user:
            return
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                if not missed:
                    await self._gap.passed(place_of(message.channel, message.thread_ts))
                async with asyncio.TaskGroup() as group, self._lanes.enter(message.channel):
                    event = await patiently(lambda: self._event(message, payload if now is None else now))
                    if event is not None and now is not None:
                        event = to_edit(payload, event) if event.kind == "message" and event.text else None
                    if event is not None:
                        # Begun in the order of arrival, which the inbox keeps. The next event need not wait for
                        # the disk as well: what comes together is written together.
                        group.create_task(patiently(lambda: self._accept(event)), name="accept")
        except TimeoutError:
            log.warning("not taken in time, to be brought again: %s/%s", message.channel, message.ts)
            raise NotTaken from None

    async def press(self, payload: Mapping[str, Any]) -> None:
        """Accept the button that was pressed, if it is one of ours. Raises `NotTaken` as `take` does."""
        try:
            event = to_press(payload, self.me)
        except (msgspec.ValidationError, ValueError) as exc:
            log.warning("an interaction that cannot be read is left out: %s", type(exc).__name__)
            return
        if event is not None:
            await self.names.of([event.speaker.id])
            await self._take_at_once(replace(event, locale=self.names.locale(event.speaker.id)))

    async def _take_at_once(self, event: Event) -> None:
        try:
            async with asyncio.timeout(TAKEN_WITHIN):
                await patiently(lambda: self._accept(event))
        except TimeoutError:
            log.warning("not taken in time: %s", event.id)
            raise NotTaken from None

    async def _event(self, message: Message, payload: Mapping[str, Any]) -> Event | None:
        taking_part, before = False, []
        if not message.direct:
            taking_part = bool(message.thread_ts) and await self.threads.joined(message.channel, message.thread)
            if not (taking_part or addressed(message, self.me)):
                return None
            if message.thread_ts and not taking_part:
                before = await self._said_before(message)
            await self.threads.join(message.channel, message.thread)
        self._attendance.note(message)
        people = mentioned(message.text or "") - {self.me.user} | {str(one.get("user") or "") for one in before}
        names = await self.names.of([message.user or "", *sorted(filter(None, people))])
        return to_event(
            payload,
            self.me,
            names,
            taking_part=taking_part,
            before=before,
            locale=self.names.locale(message.user or ""),
            manages=self.names.manages(message.user or ""),
        )

    async def _said_before(self, message: Message) -> Messages:
        """What was said last, within a day, in a thread that the bot is called into, oldest first, and before that
        how it began. Nothing of what cannot be read in time."""
        oldest = f"{float(message.ts) - _RECENT:.6f}"
        found: Messages = []
        cursor: str | None = None
        try:
            async with asyncio.timeout(_HISTORY_WITHIN):
                while True:
                    page, cursor = await read_page(
                        self._client, message.channel, message.thread, oldest=oldest, cursor=cursor
                    )
                    found += page
                    if cursor is None:
                        break
        except (TimeoutError, *FAILURES) as exc:
            log.info("what was said before in a thread is not read: %s", error_of(exc) or type(exc).__name__)
        root = [one for one in found if one.get("ts") == message.thread][:1]
        earlier = [one for one in found if message.thread < str(one.get("ts", "")) < message.ts]
        return [*root, *earlier[len(root) - _HISTORY :]]

    async def _accept(self, event: Event) -> None:
        try:
            await self.inbox.accept(event)
        except Overloaded as exc:
            log.warning("not taken, the mailbox is full: %s", event.id)
            await self._say(event, translated(exc.reply, event.locale))

    async def _say(self, event: Event, sentence: str) -> None:
        """Tell only the person. Its failure is no reason to have the event sent again."""
        address = Address.of(event.room)
        try:
            async with asyncio.timeout(_SAID_WITHIN):
                await self._client.chat_postEphemeral(
                    channel=address.channel, user=event.speaker.id, thread_ts=address.thread, text=sentence
                )
        except FAILURES as exc:
            log.warning("could not say so: %s: %s", event.id, error_of(exc) or type(exc).__name__)
