"""What an adapter is given, to say what people did and to see what they are shown."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Protocol

from core.turns.event import Event
from core.turns.room import Conversation
from core.turns.turn import Turn


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reply's part number `part` was last recorded to show; `event` is what is being answered."""

    event: str
    part: int
    text: str = field(repr=False)
    final: bool


class Inbox(Protocol):
    """What an adapter is given."""

    async def accept(self, event: Event) -> bool:
        """Take an event, durably when this returns. False: it was seen before, or is not wanted in its place.

        Raises `StoreUnavailable` (ask the platform to deliver it again) and `Overloaded` (the conversation's
        mailbox is full; tell the person).
        """
        ...

    def watch(self, conversation: Conversation) -> AbstractAsyncContextManager[AsyncIterator[Shown]]:
        """What `showing` records in this conversation: the latest first, if one is under way, then each change,
        from any process. Changes that nobody waited for are skipped.

        Iterating raises `StoreUnavailable` when the end of a reply was missed: `turns` has it.
        """
        ...

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        """The last `last` turns of the conversation, oldest first, with the messages that wait for an answer at
        the end (their `number` is 0)."""
        ...

    async def get(self, key: str) -> bytes | None:
        """A small durable value that only the adapter understands."""
        ...

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None: ...


class AroundInbox:
    """What every inbox around another one has. `accept` is its own."""

    def __init__(self, inbox: Inbox) -> None:
        self._inbox = inbox

    def watch(self, conversation: Conversation) -> AbstractAsyncContextManager[AsyncIterator[Shown]]:
        return self._inbox.watch(conversation)

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        return await self._inbox.turns(conversation, last)

    async def get(self, key: str) -> bytes | None:
        return await self._inbox.get(key)

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None:
        await self._inbox.set(key, value, expires=expires)
