"""All that a store holds of people, as records that stand for themselves: to hand out, to keep, to take elsewhere.

Exported while others go on, a conversation is as it was at some moment of the export. Nothing is held but a page
of turns. What is exported can be imported into any store, also one with other shards or encryption keys; a turn
that was exported twice is imported once.
"""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

import msgspec

from core.store.aside import Aside
from core.store.branches import branches, number_of, trunk
from core.store.client import Client
from core.store.forget import Person
from core.store.inbox import StoreInbox
from core.store.links import Links
from core.store.places import settings
from core.store.titles import Titles
from core.store.walk import PAGE, Seen, Walk, Words, unseen
from core.turns import Conversation, Event, Turn

FORMAT = 1


class _Record(msgspec.Struct, frozen=True, tag_field="record", tag=str.lower, omit_defaults=True):
    pass


class Export(_Record, frozen=True, tag="export"):
    """The first record: of which form the others are."""

    format: int


class Said(_Record, frozen=True):
    """A turn of a conversation, or of the `branch` with that number that was left when an older message was
    changed. `agreed`: whoever said it, or was answered by it, has agreed that models learn from what they say."""

    place: str
    thread: str
    turn: Turn
    agreed: bool = False
    branch: int = 0


class Summary(_Record, frozen=True):
    """What a conversation's older turns came to, up to the number `upto`."""

    place: str
    thread: str
    text: str
    upto: int = 0


class Place(_Record, frozen=True):
    """What is set for a place, the server that it belongs to, and the conversations that are listed in it: title
    and time by thread."""

    place: str
    persona: str = ""
    server: str = ""
    settings: dict[str, str] = {}
    titles: dict[str, tuple[str, float]] = {}


class Waiting(_Record, frozen=True):
    """An event that waits for an answer."""

    event: Event


class SetAside(_Record, frozen=True):
    """An event that nobody could answer."""

    event: Event
    tries: int


class Linked(_Record, frozen=True):
    """An account that is joined with all others of that link; or with which bot one is, or in which private place:
    then its account follows the link."""

    name: str
    link: str


Exported = Export | Said | Summary | Place | Waiting | SetAside | Linked


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
        for name, link in (await Links(self.client).all()).items():
            yield Linked(name, link)

    async def conversation(self, conversation: Conversation) -> AsyncIterator[Exported]:
        """One conversation, with what is set for its place."""
        yield Export(FORMAT)
        every = [conversation, *branches(conversation)]
        for each, words in zip(every, await self._walk.words(every), strict=True):
            async for record in self._conversation(each, words):
                yield record
        async for record in self._place(conversation.place):
            yield record
        async for record in self._aside(lambda event: event.conversation == conversation):
            yield record

    async def person(self, person: Person) -> AsyncIterator[Exported]:
        """What a person said anywhere, and what was replied to it."""
        yield Export(FORMAT)
        async for conversation, words in self._all():
            if not (person.speaks_in(conversation) and words.may_name(person.id, self.client.records)):
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
        for name in await Links(self.client).accounts(str(person)):
            if link := await Links(self.client).of(name):
                yield Linked(name, link)

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
        agreed = [person for person in self.agreed if person.speaks_in(conversation)]
        events: set[str] = set()
        async for turn in self._turns(conversation, words.turns):
            for person in agreed:
                events |= person.events_in([turn])
            yield Said(
                conversation.place,
                trunk(conversation).thread,
                turn,
                agreed=turn.event in events,
                branch=number_of(conversation),
            )

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
            server = fields.get(b"server", b"").decode()
            listed = await Titles(self.client).of(place)
            titles = {each.conversation.thread: (each.title, each.at) for each in listed}
            yield Place(place, text or "", server, settings(fields), titles)

    async def _aside(self, matches: Callable[[Event], bool]) -> AsyncIterator[Exported]:
        for entry in await Aside(self.client, self.inbox).all():
            if matches(entry.event):
                yield SetAside(entry.event, entry.tries)
