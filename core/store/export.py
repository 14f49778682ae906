"""All that a store holds of people, as records that stand for themselves: to hand out, to keep, to take elsewhere.

Exported while others go on, a conversation is as it was at some moment of the export. Nothing is held but a page
of turns. What is exported can be imported into any store, also one with other shards or encryption keys; a turn
that was exported twice is imported once.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import msgspec

from core.store.aside import Aside
from core.store.client import Client
from core.store.forget import Person
from core.store.inbox import StoreInbox
from core.store.places import settings
from core.store.walk import PAGE, Seen, Walk, Words, unseen
from core.turns import Conversation, Event, Turn

FORMAT = 1


class _Record(msgspec.Struct, frozen=True, tag_field="record", tag=str.lower, omit_defaults=True):
    pass


class Export(_Record, frozen=True, tag="export"):
    """The first record: of which form the others are."""

    format: int


class Said(_Record, frozen=True):
    """A turn of a conversation. `agreed`: whoever said it, or was answered by it, has agreed that models learn
    from what they say."""

    place: str
    thread: str
    turn: Turn
    agreed: bool = False


class Summary(_Record, frozen=True):
    """What a conversation's older turns came to, up to the number `upto`."""

    place: str
    thread: str
    text: str
    upto: int = 0


class Place(_Record, frozen=True):
    """What is set for a place, and the server that it belongs to."""

    place: str
    persona: str = ""
    server: str = ""
    settings: dict[str, str] = {}


class Waiting(_Record, frozen=True):
    """An event that waits for an answer."""

    event: Event


class SetAside(_Record, frozen=True):
    """An event that nobody could answer."""

    event: Event
    tries: int


Exported = Export | Said | Summary | Place | Waiting | SetAside


@dataclass(frozen=True, slots=True)
class Exporter:
    """Reads one store. Turns of the people in `agreed` are marked. All of it raises `StoreUnavailable`."""

    client: Client
    inbox: StoreInbox
    seen: Seen = unseen
    agreed: frozenset[Person] = frozenset()

    async def everything(self) -> AsyncIterator[Exported]:
        yield Export(FORMAT)
        async for conversation, words in self._all():
            async for record in self._conversation(conversation, words):
                yield record
        async for places in self._walk.keys("p"):
            for _, _, place in places:
                async for record in self._place(place):
                    yield record
        async for record in self._aside(lambda _event: True):
            yield record

    async def conversation(self, conversation: Conversation) -> AsyncIterator[Exported]:
        """One conversation, with what is set for its place."""
        yield Export(FORMAT)
        [words] = await self._walk.words([conversation])
        async for record in self._conversation(conversation, words):
            yield record
        async for record in self._place(conversation.place):
            yield record
        async for record in self._aside(lambda event: event.conversation == conversation):
            yield record

    async def person(self, person: Person) -> AsyncIterator[Exported]:
        """What a person said anywhere, and what was replied to it."""
        yield Export(FORMAT)
        async for conversation, words in self._all():
            if conversation.platform != person.platform or not words.may_name(person.id, self.client.records):
                continue
            events: set[str] = set()
            async for said in self._said(conversation, words):
                events |= person.events_in([said.turn])
                if said.turn.event in events:
                    yield said
            for event in self.client.records.events(words.mailbox, conversation):
                if person.said(event):
                    yield Waiting(event)
        async for record in self._aside(person.said):
            yield record

    @property
    def _walk(self) -> Walk:
        return Walk(self.client, self.seen)

    async def _all(self) -> AsyncIterator[tuple[Conversation, Words]]:
        async for page in self._walk.conversations():
            for found in zip(page, await self._walk.words(page), strict=True):
                yield found

    async def _conversation(self, conversation: Conversation, words: Words) -> AsyncIterator[Exported]:
        if (newest := self.client.records.summaries(words.summary, conversation).newest).text:
            yield Summary(conversation.place, conversation.thread, newest.text, newest.upto)
        async for said in self._said(conversation, words):
            yield said
        for event in self.client.records.events(words.mailbox, conversation):
            yield Waiting(event)

    async def _said(self, conversation: Conversation, words: Words) -> AsyncIterator[Said]:
        agreed = [person for person in self.agreed if person.platform == conversation.platform]
        events: set[str] = set()
        async for turn in self._turns(conversation, words.turns):
            for person in agreed:
                events |= person.events_in([turn])
            yield Said(conversation.place, conversation.thread, turn, agreed=turn.event in events)

    async def _turns(self, conversation: Conversation, page: Sequence[bytes]) -> AsyncIterator[Turn]:
        """In order, each once, also when the oldest go meanwhile. `page` is the first of it."""
        start, last = 0, 0
        while page:
            for turn in self.client.records.turns(page, conversation):
                if turn.number > last:
                    last = turn.number
                    yield turn
            start += len(page)
            page = await self._walk.turns(conversation, start) if len(page) == PAGE else ()

    async def _place(self, place: str) -> AsyncIterator[Exported]:
        key = self.client.keys.place(Conversation(place))
        fields: dict[bytes, bytes] = await self.client.ask("HGETALL", key, key=key)
        if fields:
            text = self.client.records.text_if_readable(fields.get(b"persona"), Conversation(place))
            yield Place(place, text or "", fields.get(b"server", b"").decode(), settings(fields))

    async def _aside(self, matches: Callable[[Event], bool]) -> AsyncIterator[Exported]:
        for entry in await Aside(self.client, self.inbox).all():
            if matches(entry.event):
                yield SetAside(entry.event, entry.tries)
