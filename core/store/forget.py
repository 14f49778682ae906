"""Forgetting: a conversation, a person, a room, a server, everything; completely, and while others go on.

Whatever holds words goes: what waits, what is remembered, the summary, the title, the reply under way, what was
set aside and what nobody could read. With a person goes what they said and what was replied to it, everywhere; the
turns of others stay. Where a turn is taken out of the middle an empty one stands in its place. Marks that an event
was seen have ids in them and stay until they expire: without them a platform's redelivery would be answered.

A person's conversations are found by a pass through all (`walk`). An index by person would cost every turn time
and space, and could be incomplete; this is asked for rarely, and then must be complete.
"""

from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import partial

from core.errors import StoreUnavailable
from core.scope import PEOPLE, belongs_to_one, persons
from core.store.aside import Aside
from core.store.branches import branches, trunk
from core.store.client import Client
from core.store.inbox import STOPS, StoreInbox
from core.store.keys import conversation_id
from core.store.links import Links
from core.store.news import tell
from core.store.records import Unreadable, forgotten, is_forgotten
from core.store.titles import title_field
from core.store.walk import PAGE, Seen, Walk, Words, batches, unseen
from core.store.whereabouts import Whereabouts
from core.turns import Conversation, Event, News, Turn

_TRIES = 100  # a conversation may change while it is read, but not for ever
_SWAPPED_AT_ONCE = 50


@dataclass(frozen=True, slots=True)
class Person:
    """One person of one platform, by the platform's id."""

    platform: str
    id: str

    def __str__(self) -> str:
        return f"{self.platform}/{self.id}"

    def said(self, event: Event) -> bool:
        return event.speaker.id == self.id and event.room.platform == self.platform

    def wrote(self, turn: Turn) -> bool:
        if turn.role != "user" or turn.speaker is None:
            return False
        return turn.speaker.id == self.id and turn.event.startswith(self.platform)

    def speaks_in(self, conversation: Conversation) -> bool:
        """Whether they may."""
        return conversation.platform in {self.platform, PEOPLE}

    def events_in(self, turns: Iterable[Turn | None]) -> set[str]:
        """The events that these turns of theirs came from."""
        return {turn.event for turn in turns if turn is not None and self.wrote(turn)}

    def taken_from(self, turn: Turn) -> Turn:
        """Another one's turn without their words in it, and without their votes for it and for its versions."""
        versions = tuple(replace(each, votes=self._others(each.votes)) for each in turn.versions)
        quotes = tuple(quote for quote in turn.quotes if quote.speaker.id != self.id)
        return replace(
            turn,
            votes=self._others(turn.votes),
            versions=versions,
            quotes=quotes,
            documents=tuple(each for each in turn.documents if each.speaker != self.id),
            pictures=tuple(each for each in turn.pictures if each.speaker != self.id),
        )

    def _others(self, votes: Sequence[tuple[str, int]]) -> tuple[tuple[str, int], ...]:
        return tuple(vote for vote in votes if vote[0] != self.id)


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a person, by the platform's id, within its conversation."""

    id: str

    def said(self, event: Event) -> bool:
        return self.id in (event.message, *event.also) or (event.kind == "edit" and event.target == self.id)

    def wrote(self, turn: Turn) -> bool:
        return turn.role == "user" and self.id in turn.messages

    def events_in(self, turns: Iterable[Turn | None]) -> set[str]:
        """The event that it was."""
        return {turn.event for turn in turns if turn is not None and self.wrote(turn)}

    def taken_from(self, turn: Turn) -> Turn:
        """Another turn, which stays as it is."""
        return turn


class Forget:
    """How one store forgets. Each method answers of how many conversations something was forgotten, and returns
    when that is on disk. All of them raise `StoreUnavailable`; to begin again is then to go on."""

    def __init__(self, client: Client, inbox: StoreInbox, seen: Seen = unseen) -> None:
        self._client = client
        self._keys = client.keys
        self._records = client.records
        self._aside = Aside(client, inbox)
        self._links = Links(client)
        self._whereabouts = Whereabouts(client)
        self._walk = Walk(client, seen)

    async def conversation(self, conversation: Conversation) -> int:
        gone = await self._erase(conversation)
        await tell(self._client, News(conversation, "gone"))
        gone |= await self._end_control(conversation, lambda event: event.conversation == conversation)
        gone |= await self._aside.forget(lambda event: event.conversation == conversation, str(conversation)) > 0
        if belongs_to_one(conversation):
            async for page in self._walk.keys("w"):
                await self._whereabouts.forget(page, lambda _place, remembers: remembers == conversation)
        return int(gone)

    async def room(self, place: str) -> int:
        """All conversations in a place, with what was set for it."""
        return await self._places(
            lambda other: other == place, lambda event: event.conversation.place == place, place
        )

    async def server(self, platform: str, server: str) -> int:
        """All rooms of a Discord server or a Slack workspace."""
        places: set[str] = set()
        async for page in self._walk.keys("p"):
            for key, _, place in page:
                if Conversation(place).platform == platform:
                    of: bytes | None = await self._client.ask("HGET", key, "server", key=key)
                    if of is not None and of.decode() == server:
                        places.add(place)

        def is_there(event: Event) -> bool:
            return event.room.platform == platform and event.server == server

        async for conversations in self._walk.conversations(["q"]):
            for conversation, words in zip(conversations, await self._walk.words(conversations), strict=True):
                if any(is_there(event) for event in self._records.events(words.mailbox, conversation)):
                    places.add(conversation.place)
        return await self._places(
            places.__contains__, lambda event: is_there(event) or event.conversation.place in places, server
        )

    async def everything(self) -> int:
        await self._links.drop()
        return await self._places(lambda _place: True, lambda _event: True, "")

    async def person(self, *accounts: Person) -> int:
        """What one person said, from any of these accounts, and what was replied to it; not the rest of their
        conversations. The accounts are joined with none any more."""
        found: set[str] = set()
        async for conversations in self._walk.conversations():
            ours = [each for each in conversations if any(person.speaks_in(each) for person in accounts)]
            for conversation, words in zip(ours, await self._walk.words(ours), strict=True):
                for person in accounts:
                    if person.speaks_in(conversation) and await self._forget_in(conversation, words, person):
                        found.add(conversation_id(trunk(conversation)))
        for person in accounts:
            is_theirs = partial(_is_theirs, person, found)
            await self._forget_beside(lambda _place: False, person.said, person.id, is_theirs)
            await self._links.leave(str(person))
        return len(found)

    async def _forget_in(self, conversation: Conversation, words: Words, person: Person) -> bool:
        if not words.may_name(person.id, self._records):
            return False
        expelled = await self._expel_all(conversation, words, person)
        if await self._blank(conversation, words.turns, person) or expelled:
            await self._drop_if_empty(conversation)
            return True
        return False

    async def message(self, conversation: Conversation, message: str) -> int:
        """What a person said in a message, and what was replied to it; an answer under way ends."""
        meant = Message(message)
        [words] = await self._walk.words([conversation])
        expelled = await self._expel_all(conversation, words, meant)
        if expelled:
            name, channel = conversation_id(conversation), self._keys.channel(STOPS)
            await self._client.read(lambda redis: redis.execute_command("PUBLISH", channel, name))
        gone = await self._blank(conversation, words.turns, meant) or expelled
        for branch in branches(conversation):  # afterwards: turns move into a branch, and never out of one
            gone |= await self._blank(branch, await self._walk.turns(branch, 0), meant)
        return int(gone)

    async def _places(self, is_meant: Callable[[str], bool], matches: Callable[[Event], bool], named: str) -> int:
        gone: set[str] = set()
        async for conversations in self._walk.conversations(["c", "q", "t"]):
            for conversation in conversations:
                if is_meant(conversation.place):
                    await self._erase(conversation)
                    gone.add(conversation_id(trunk(conversation)))
        await self._forget_beside(is_meant, matches, named)
        return len(gone)

    async def _forget_beside(
        self,
        is_meant: Callable[[str], bool],
        matches: Callable[[Event], bool],
        named: str,
        is_theirs: Callable[[str, Conversation], bool] = lambda _place, _remembers: False,
    ) -> None:
        """What lies beside the conversations: what is set for a place, greetings, what was set aside, and where
        messages are remembered."""

        def is_remembered(place: str, remembers: Conversation) -> bool:
            return is_meant(place) or is_meant(remembers.place) or is_theirs(place, remembers)

        async for page in self._walk.keys("p", "ctl", "unreadable", "w"):
            await self._whereabouts.forget(page, is_remembered)
            for key, kind, name in page:
                if kind == "p":
                    if is_meant(name):
                        await self._client.ask("DEL", key, key=key, commit=True)
                elif kind == "ctl":
                    await self._end_entries(key, matches)
                elif kind == "unreadable":
                    await self._drop_unreadable(key, is_meant, named)
        await self._aside.forget(matches, named)

    async def _erase(self, conversation: Conversation) -> bool:
        keys = [self._keys.conversation(kind, conversation) for kind in ("c", "q", "t", "r")]
        keys += [
            self._keys.ready(conversation),
            self._keys.unreadable(conversation),
            self._keys.place(conversation),
        ]
        keys += [self._keys.conversation("t", each) for each in branches(conversation)]
        args = conversation_id(conversation), title_field(conversation)
        return bool(await self._client.run("forget", keys, *args, commit=True))

    async def _expel_all(self, conversation: Conversation, words: Words, person: Person | Message) -> bool:
        """Whether an event of theirs waited or was being answered, which is gone now."""
        for tries in range(_TRIES):
            waiting = (*words.mailbox, words.reply.get(b"event", b""))
            events = [record for record in waiting if record and self._is_of(person, record)]
            if not events:
                return tries > 0
            await self._expel(conversation, events)
            [words] = await self._walk.words([conversation])
        raise StoreUnavailable(f"{conversation} changes all the time")

    async def _expel(self, conversation: Conversation, events: Sequence[bytes]) -> None:
        keys = [self._keys.conversation(kind, conversation) for kind in ("c", "q", "r")]
        keys.append(self._keys.ready(conversation))
        await self._client.run("expel", keys, conversation_id(conversation), *events, commit=True)

    async def _blank(self, conversation: Conversation, turns: Sequence[bytes], person: Person | Message) -> bool:
        """Whether there was a turn of theirs, which is gone now."""
        for _ in range(_TRIES):
            meant = await self._turns_of(person, conversation, turns)
            if not meant:
                return False
            state = self._keys.conversation("c", trunk(conversation))
            keys = [self._keys.conversation("t", conversation), state]
            done = [
                await self._client.run("swap", keys, *(arg for swap in batch for arg in swap), commit=True)
                for batch in batches(reversed(meant), _SWAPPED_AT_ONCE)  # a reply is found by its question
            ]
            if all(done):
                # They were made of all that was said.
                await self._client.ask("HDEL", state, "summary", key=state, commit=True)
                await self._drop_title(conversation)
                return True
            turns = await self._walk.turns(conversation, 0)
        raise StoreUnavailable(f"{conversation} changes all the time")

    async def _drop_if_empty(self, conversation: Conversation) -> None:
        """Where nothing of anybody is left, not even the conversation's name stays: it may be the person's."""
        first, count = b"", 0
        while page := await self._walk.turns(conversation, count):
            first = first or page[0]
            count += len(page)
            turns = map(self._turn, page)
            if not all(turn is not None and is_forgotten(turn) for turn in turns):
                return
        keys = [self._keys.conversation(kind, conversation) for kind in ("c", "q", "t")]
        await self._client.run("expire", keys, first, count, commit=True)
        await self._drop_title(conversation)

    async def _drop_title(self, conversation: Conversation) -> None:
        key = self._keys.place(conversation)
        if await self._client.ask("HDEL", key, title_field(trunk(conversation)), key=key, commit=True):
            await tell(self._client, News(trunk(conversation), "listed"))

    async def _turns_of(
        self, person: Person | Message, conversation: Conversation, page: Sequence[bytes]
    ) -> list[tuple[int, bytes, bytes]]:
        """For each turn of theirs, or to them, its index, its record and the empty one to put there; and for
        each of others that has something of theirs, one without it."""
        meant: list[tuple[int, bytes, bytes]] = []
        events: set[str] = set()
        start, first = 0, 1
        while page:
            turns = [self._turn(record) for record in page]
            first = next((turn.number - start - i for i, turn in enumerate(turns) if turn), first)
            events |= person.events_in(turns)
            for i, (turn, record) in enumerate(zip(turns, page, strict=True), start):
                if turn.event in events if turn else person.id.encode() in record:
                    meant.append((i, record, self._records.encode(forgotten(first + i, turn))))
                elif turn and (rest := person.taken_from(turn)) != turn:
                    meant.append((i, record, self._records.encode(rest)))
            start += len(page)
            page = await self._walk.turns(conversation, start) if len(page) == PAGE else ()
        return meant

    def _is_of(self, person: Person | Message, record: bytes) -> bool:
        try:
            return person.said(self._records.decode(Event, record))
        except Unreadable:
            return person.id.encode() in record

    def _turn(self, record: bytes) -> Turn | None:
        try:
            return self._records.decode(Turn, record)
        except Unreadable:
            return None

    async def _end_control(self, conversation: Conversation, matches: Callable[[Event], bool]) -> bool:
        return await self._end_entries(self._keys.control(conversation), matches)

    async def _end_entries(self, stream: str, matches: Callable[[Event], bool]) -> bool:
        found = False
        for entry, fields in await self._client.ask("XRANGE", stream, "-", "+", key=stream):
            try:
                meant = matches(self._records.decode(Event, fields[b"e"]))
            except Unreadable:
                continue  # whoever takes it ends it
            if meant:
                await self._client.run("done", [stream], entry, commit=True)
            found |= meant
        return found

    async def _drop_unreadable(self, stream: str, is_meant: Callable[[str], bool], named: str) -> None:
        for entry, fields in await self._client.ask("XRANGE", stream, "-", "+", key=stream):
            place = fields[b"c"].decode().partition("\0")[0]
            if is_meant(place) or (named and named.encode() in fields[b"e"]):
                await self._client.ask("XDEL", stream, entry, key=stream, commit=True)


def _is_theirs(person: Person, found: Container[str], place: str, remembers: Conversation) -> bool:
    """Whether a message that stands in `place` is remembered in a conversation of theirs alone, or in one of those
    in which something was `found`."""
    theirs = remembers == persons(remembers.place, person.id) or conversation_id(remembers) in found
    return theirs and Conversation(place).platform == person.platform
