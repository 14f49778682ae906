"""From the gateway's payloads to accepted events.

Discord's gateway has no acknowledgement for a message: what is not accepted here is lost. So a store that is away
is waited for, up to a bound, while messages of one channel keep their order. A command must be answered within
three seconds, and is.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace

from adapters.delivery import Limited, Unavailable
from adapters.discord.apology import Apologies
from adapters.discord.commands import completed
from adapters.discord.events import (
    COMPONENT,
    Payload,
    Place,
    quote,
    to_command,
    to_delete,
    to_edit,
    to_event,
    to_press,
    to_typing,
)
from adapters.discord.interaction import EPHEMERAL
from adapters.discord.rest import Rejected, Rest
from adapters.discord.seen import Seen
from adapters.discord.waiting import Waits
from adapters.gap import Gap
from core.errors import Overloaded, Refused, StoreUnavailable
from core.languages import msgid, translated
from core.turns import Event, Inbox, Quote

log = logging.getLogger(__name__)

WherePlaced = Callable[[Payload], Awaitable[Place]]
Reads = Callable[[Payload, str, Place], Event | None]

STOPPING = msgid("I stop the answer that I am writing here.")
UNKNOWN = msgid("I do not know this command. `/help` tells which there are.")

_MOST_WAITING = 1000
_HISTORY, _HISTORY_WITHIN = 20, 3.0  # messages of a thread that the bot is called into, and seconds to read them
_STORE_PATIENCE = 60.0
# A command must be answered within three seconds; two are the store's.
# https://discord.com/developers/docs/interactions/receiving-and-responding
_COMMAND_PATIENCE = 2.0
_ANSWER_WITHIN = 2.9
_DEFERRED, _MESSAGE, _COMPLETIONS = 5, 4, 8
_NOTED: dict[str, object] = {"type": 6}  # the message with the button changes later, if at all
_APPLICATION_COMMAND = 2
_ALREADY_ANSWERED = 40060

# What a payload raises that is not as Discord describes it.
_UNREADABLE = (AttributeError, KeyError, OverflowError, TypeError, ValueError)


class Intake:
    """Takes payloads for the bot `me`. `group` is the parent of what goes on when a method has returned.

    Messages wait for what was missed in their channel before them: `gap` says when that is read. A channel of
    direct messages is in `seen`, and on disk, before anything in it is accepted: whoever was answered once is not
    missed.
    """

    def __init__(self, inbox: Inbox, rest: Rest, me: str, group: asyncio.TaskGroup, gap: Gap, seen: Seen) -> None:
        self._inbox = inbox
        self._rest = rest
        self._me = me
        self._group = group
        self._gap = gap
        self._seen = seen
        self._apologies = Apologies(rest)
        self._lanes: dict[str, tuple[asyncio.Lock, int]] = {}
        self._waiting = 0

    def message(self, payload: Payload, place: WherePlaced) -> None:
        """A MESSAGE_CREATE: accept it after those of its channel that came before."""
        self._begin("message", lambda: self._take_in_turn(payload, place))

    def edit(self, payload: Payload, place: WherePlaced) -> None:
        """A MESSAGE_UPDATE: accept it after what came before in its channel."""
        self._begin("edit", lambda: self._take_in_turn(payload, place, to_edit))

    def deletion(self, payload: Payload, place: WherePlaced) -> None:
        """A MESSAGE_DELETE: accept it after what came before in its channel."""
        self._begin("deletion", lambda: self._take_in_turn(payload, place, to_delete))

    def command(self, payload: Payload) -> None:
        """An INTERACTION_CREATE: accept the command or the button that it is of, and answer Discord in time."""
        self._begin("command", lambda: self._command(payload))

    def _begin(self, name: str, work: Callable[[], Awaitable[None]]) -> None:
        if self._waiting >= _MOST_WAITING:
            log.error("a %s is not taken: %d wait already", name, self._waiting)
            return
        self._waiting += 1
        self._group.create_task(self._counted(work), name=name)

    async def _counted(self, work: Callable[[], Awaitable[None]]) -> None:
        try:
            await work()
        finally:
            self._waiting -= 1

    async def take(self, payload: Payload, place: WherePlaced, read: Reads = to_event) -> None:
        """Accept the message, if it is for us; durable when this returns, or its writer was told."""
        try:
            where = await place(payload)
            event = read(payload, self._me, where)
            if event is not None and read is to_event and where.thread and not where.ours:
                # We are called into a thread that we know nothing of.
                event = replace(event, quotes=await self._said_before(payload, where) or event.quotes)
            if event is not None:
                await self._accept(event, str(payload["channel_id"]) if payload.get("guild_id") is None else None)
        except _UNREADABLE as exc:
            log.warning("a message that cannot be read is left out: %s", type(exc).__name__)

    async def _said_before(self, payload: Payload, place: Place) -> tuple[Quote, ...]:
        """What was said last in the thread, oldest first, and before that how it began; nothing where it cannot be
        read in time."""
        thread = str(payload["channel_id"])
        try:
            async with asyncio.timeout(_HISTORY_WITHIN):
                found = await self._history(thread, {"before": str(payload["id"]), "limit": _HISTORY})
                if len(found) == _HISTORY:
                    begun = await self._history(thread, {"after": "0", "limit": 1})
                    found = [*found[:-1], *(begun or found[-1:])]
        except (Limited, Refused, Rejected, TimeoutError, Unavailable) as exc:
            log.info("what was said before in a thread is not read: %s", type(exc).__name__)
            return ()
        quotes = [quote(message, self._me, place) for message in reversed(found)]
        return tuple(each for each in quotes if each is not None)

    async def _history(self, channel: str, query: Mapping[str, str | int]) -> Sequence[Payload]:
        """The newest message first."""
        path = "/channels/{channel_id}/messages"
        found: Sequence[Payload] = await self._rest.call("GET", path, query=query, channel_id=channel)
        return found or ()

    async def _take_in_turn(self, payload: Payload, place: WherePlaced, read: Reads = to_event) -> None:
        try:
            channel = str(payload["channel_id"])
        except _UNREADABLE as exc:
            log.warning("a message that cannot be read is left out: %s", type(exc).__name__)
            return
        async with self._lane(channel):
            await self._gap.passed(channel)
            await self.take(payload, place, read)

    @asynccontextmanager
    async def _lane(self, channel: str) -> AsyncIterator[None]:
        lock, users = self._lanes.get(channel, (asyncio.Lock(), 0))
        self._lanes[channel] = lock, users + 1
        try:
            async with lock:
                yield
        finally:
            lock, users = self._lanes.pop(channel)
            if users > 1:
                self._lanes[channel] = lock, users - 1

    async def _accept(self, event: Event, direct: str | None) -> None:
        try:
            await self._durable(event, _STORE_PATIENCE, direct)
        except Overloaded as exc:
            log.warning("not taken, the mailbox is full: %s", event.id)
            await self._apologies.say(event, translated(exc.reply, event.locale))
        except StoreUnavailable as exc:
            log.error("not taken, the store is away: %s", event.id)  # noqa: TRY400 - the store logs why
            await self._apologies.say(event, translated(exc.reply, event.locale))

    async def _durable(self, event: Event, seconds: float, direct: str | None = None) -> None:
        """Have the event accepted, and its channel `direct` remembered before that. Raises `StoreUnavailable`
        after `seconds`, and `Overloaded`."""
        waits = Waits(first=0.25, longest=5.0)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    try:
                        if direct is not None:
                            await self._seen.remember(direct)
                        await self._inbox.accept(event)
                    except StoreUnavailable:
                        await waits.next()
                    else:
                        return
        except TimeoutError:
            raise StoreUnavailable(f"no answer within {seconds:.0f} s") from None

    async def _command(self, payload: Payload) -> None:
        deadline = asyncio.get_running_loop().time() + _ANSWER_WITHIN
        try:
            typing = to_typing(payload)
            event = to_command(payload, self._me) or to_press(payload, self._me)
            number, token = str(payload["id"]), str(payload["token"])
            kind, locale = payload["type"], str(payload.get("locale") or "")
        except _UNREADABLE as exc:
            log.warning("a command that cannot be read is left out: %s", type(exc).__name__)
            return
        if typing is not None:
            choices = {"choices": completed(*typing)}
            await self._answer(number, token, {"type": _COMPLETIONS, "data": choices}, deadline)
            return
        if event is None:
            if kind == _APPLICATION_COMMAND:
                await self._answer(number, token, _said(translated(UNKNOWN, locale)), deadline)
            elif kind == COMPONENT:
                await self._answer(number, token, _NOTED, deadline)
            return
        try:
            await self._durable(event, _COMMAND_PATIENCE)
        except (Overloaded, StoreUnavailable) as exc:
            log.warning("not taken: %s: %s", event.id, type(exc).__name__)
            answer = _said(translated(exc.reply, locale))
        else:
            private = bool(event.room.address["private"])
            answer = _said(translated(STOPPING, locale)) if event.kind == "stop" else _thinking(private=private)
            if event.target:
                answer = _NOTED
        await self._answer(number, token, answer, deadline)

    async def _answer(self, number: str, token: str, answer: dict[str, object], deadline: float) -> None:
        path = "/interactions/{interaction_id}/{webhook_token}/callback"
        waits = Waits(first=0.1, longest=0.5)
        try:
            async with asyncio.timeout_at(deadline):
                while True:
                    try:
                        await self._rest.call("POST", path, answer, interaction_id=number, webhook_token=token)
                    except (Limited, Unavailable):
                        await waits.next()
                    else:
                        return
        except Rejected as exc:
            if exc.code != _ALREADY_ANSWERED:
                log.warning("the command %s was not acknowledged: %s", number, exc)
        except (Refused, TimeoutError) as exc:
            log.warning("the command %s was not acknowledged in time: %s", number, exc)


def _said(sentence: str) -> dict[str, object]:
    return {"type": _MESSAGE, "data": {"content": sentence, "flags": EPHEMERAL}}


def _thinking(*, private: bool) -> dict[str, object]:
    return {"type": _DEFERRED, "data": {"flags": EPHEMERAL if private else 0}}
