"""What adapters are given: a durable way in, and a view of what is being answered. Knows no platform.

What changes a conversation goes through its mailbox and keeps its order; start, help, votes and deletions go to
the control stream; a stop marks the event that it means, in the same step. `accept` is a commit point: on disk
when it returns.
"""

import asyncio
import secrets
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from datetime import timedelta

from core.errors import Overloaded, StoreUnavailable
from core.store.channels import Channels
from core.store.client import Client
from core.store.keys import conversation_id
from core.store.records import Records, ShowingRecord
from core.store.whereabouts import Whereabouts
from core.turns import Conversation, Event, Shown, Turn, WhenBusy

MAILBOX = 256
"""How many events of one conversation may wait."""

CONTROL = 10_000
"""How many control events of one shard and platform may wait."""

REMEMBERED = timedelta(hours=26)
"""How long an event is known to have been seen. Telegram repeats an update for up to 24 hours."""

STOPS = "stops"
"""The channel that names each conversation in which somebody said stop."""

_UNSEEN_CHANGES = 64


class StoreInbox:
    """`core.turns.Inbox` on Redis. `when_busy` is for places where nothing else is set."""

    def __init__(
        self, client: Client, channels: Channels, whereabouts: Whereabouts, when_busy: WhenBusy = "queue"
    ) -> None:
        self._client = client
        self._whereabouts = whereabouts
        self._when_busy = when_busy
        self._channels = channels
        self._keys = client.keys
        self._records = client.records

    async def accept(self, event: Event) -> bool:
        """As `core.turns.Inbox` has it. What was seen is known where it was said as well as in its conversation,
        so that it stays known when memory is shared otherwise."""
        if event.said_in.place == event.conversation.place:
            return await self._accept(event)
        seen = self._keys.seen(event.id, event.said_in)
        if await self._client.ask("EXISTS", seen, key=seen):
            return False
        taken = await self._accept(event)
        await self._client.ask("SET", seen, 1, "EX", _seconds(REMEMBERED), key=seen)
        return taken

    async def _accept(self, event: Event) -> bool:
        # The token tells a repetition of this call, whose answer was lost, from another delivery of the event.
        token = secrets.token_urlsafe(8)
        seen = self._keys.seen(event.id, event.conversation)
        match event.kind:
            case "stop":
                answer = await self._stop(event, seen, token)
            case "start" | "help" | "vote" | "delete" | "setting" | "command" | "refused":
                stream = self._keys.queue("ctl", event.room.platform, event.conversation)
                answer = await self._client.run(
                    "control",
                    [stream, seen],
                    token,
                    self._records.encode(event),
                    CONTROL,
                    _seconds(REMEMBERED),
                    commit=True,
                )
            case _:
                answer = await self._post(event, seen, token)
        if answer < 0:
            raise Overloaded(f"too many events wait: {event.id}")
        return bool(answer)

    async def _post(self, event: Event, seen: str, token: str) -> int:
        conversation = event.conversation
        ends = await self._under_edit(event) if event.kind == "edit" else b""
        answer: int = await self._client.run(
            "accept",
            [
                self._keys.conversation("c", conversation),
                self._keys.conversation("q", conversation),
                self._keys.ready(conversation),
                seen,
                self._keys.place(conversation),
            ],
            *(token, self._records.encode(event), conversation_id(conversation), MAILBOX, _seconds(REMEMBERED)),
            *(self._keys.channel(STOPS), self._when_busy if event.kind == "message" else "", ends),
            *(int(event.more_within * 1000), event.speaker.id, int(event.called)),
            commit=True,
        )
        # What was seen before too: whoever took it may have ended before this. What is not called for may not be
        # wanted at all, and then nothing is kept of it.
        if event.kind == "message" and (answer > 0 or event.called):
            await self._whereabouts.note(event, event.message, *event.also)
        return answer

    async def _under_edit(self, event: Event) -> bytes:
        """The event at the mailbox's head, if it is the message that was edited, or an edit of it."""
        mailbox = self._keys.conversation("q", event.conversation)
        head: bytes | None = await self._client.ask("LINDEX", mailbox, 0, key=mailbox)
        for first in self._records.events([head] if head else [], event.conversation):
            if event.target and event.target in {first.message, first.target if first.kind == "edit" else ""}:
                return head or b""
        return b""

    async def _stop(self, event: Event, seen: str, token: str) -> int:
        conversation = event.conversation
        answer: int = await self._client.run(
            "stop",
            [self._keys.conversation("c", conversation), self._keys.conversation("q", conversation), seen],
            *(token, conversation_id(conversation), self._keys.channel(STOPS), _seconds(REMEMBERED)),
            commit=True,
        )
        return answer

    @asynccontextmanager
    async def watch(self, conversation: Conversation) -> AsyncIterator[AsyncIterator[Shown]]:
        changes = _Changes(self._records)
        async with (
            self._channels.listening(self._keys.watchers(conversation), changes.add, resumed=changes.reset),
            aclosing(self._changes(conversation, changes)) as shown,
        ):
            yield shown

    async def _changes(self, conversation: Conversation, changes: "_Changes") -> AsyncGenerator[Shown, None]:
        unfinished = ""  # the event whose reply was last seen being written
        while True:
            while (shown := changes.next()) is not None:
                unfinished = "" if shown.final else shown.event
                yield shown
            if changes.may_be_missing:
                changes.may_be_missing = False
                for record in await self._under_way(conversation):
                    changes.add_unless_newer(record)
                if unfinished and not changes.has(unfinished):
                    raise StoreUnavailable(f"the end of the answer to {unfinished} was not seen")
            else:
                await changes.wait()

    async def _under_way(self, conversation: Conversation) -> list[bytes]:
        reply = self._keys.conversation("r", conversation)
        fields: dict[bytes, bytes] = await self._client.ask("HGETALL", reply, key=reply)
        parts = int(fields.get(b"parts", 0))
        return [fields[b"p%d" % part] for part in range(parts)]

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        memory, mailbox = await self._client.run(
            "turns", [self._keys.conversation("t", conversation), self._keys.conversation("q", conversation)], last
        )
        waiting = [event for event in self._records.events(mailbox, conversation) if event.kind == "message"]
        return self._records.turns(memory, conversation) + [_as_turn(event) for event in waiting]

    async def get(self, key: str) -> bytes | None:
        name = self._keys.value(key)
        value: bytes | None = await self._client.ask("GET", name, key=name)
        return value

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None:
        name, milliseconds = self._keys.value(key), max(1, int(expires.total_seconds() * 1000))
        await self._client.ask("SET", name, value, "PX", milliseconds, key=name, commit=True)


class _Changes:
    """What a watcher has not seen: the newest of each part, so that a slow one skips changes and never parts."""

    def __init__(self, records: Records) -> None:
        self._records = records
        self.may_be_missing = True
        self._newest: dict[tuple[str, int], ShowingRecord] = {}
        self._any = asyncio.Event()

    def add(self, record: bytes) -> None:
        showing = self._records.decode(ShowingRecord, record)
        self._newest[showing.event, showing.part] = showing
        if len(self._newest) > _UNSEEN_CHANGES:
            del self._newest[next(iter(self._newest))]
        self._any.set()

    def add_unless_newer(self, record: bytes) -> None:
        """What was looked up is older than what came by the channel meanwhile."""
        showing = self._records.decode(ShowingRecord, record)
        if (showing.event, showing.part) not in self._newest:
            self.add(record)

    def has(self, event: str) -> bool:
        return any(of == event for of, _ in self._newest)

    def reset(self) -> None:
        """Channels were interrupted: what was shown meanwhile must be looked up."""
        self.may_be_missing = True
        self._any.set()

    def next(self) -> Shown | None:
        if not self._newest:
            return None
        return self._newest.pop(next(iter(self._newest))).shown

    async def wait(self) -> None:
        await self._any.wait()
        self._any.clear()


def _as_turn(event: Event) -> Turn:
    return Turn(number=0, role="user", text=event.text, speaker=event.speaker, event=event.id, at=event.at)


def _seconds(time: timedelta) -> int:
    return int(time.total_seconds())
