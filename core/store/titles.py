"""The conversations of a place that are listed, with their titles: for a platform that has no list of its own.

They lie in the place's hash, one field a conversation. A title is words of a person: it is encrypted as those are,
and goes with them.
"""

from core.store.client import Client
from core.store.records import TitleRecord
from core.turns import Conversation, Listed

PREFIX = b"title."
"""What the name of a title begins with in a place's hash."""

MOST = 500
"""How many conversations of a place are listed."""

_LONGEST = 60  # characters of a title that is made of a message
_LONGEST_GIVEN = 200


class Titles:
    """Everything here raises `StoreUnavailable`. What it changes is on disk when it returns."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def of(self, place: str) -> list[Listed]:
        """What is listed there, the one in which somebody spoke last first."""
        key = self._client.keys.place(Conversation(place))
        found = []
        for field, record in (await self._client.ask("HGETALL", key, key=key)).items():
            if field.startswith(PREFIX):
                conversation = Conversation(place, field.removeprefix(PREFIX).decode())
                if title := self._client.records.title(record, conversation):
                    found.append(Listed(conversation, title.title, title.at))
        return sorted(found, key=lambda listed: listed.at, reverse=True)

    async def note(self, conversation: Conversation, words: str, at: float) -> bool:
        """Somebody says `words` now: list the conversation, with these as its title if it has none. False: it is
        not listed, since `MOST` others are."""
        record, title = await self._find(conversation)
        if record is None and await self._are_full(conversation):
            return False
        new = TitleRecord(_beginning(words), at) if title is None else TitleRecord(title.title, max(at, title.at))
        await self._put(conversation, record, new)
        return True

    async def rename(self, conversation: Conversation, title: str) -> None:
        """Call it so, if it is listed. An empty title changes nothing."""
        record, before = await self._find(conversation)
        given = " ".join(title.split())[:_LONGEST_GIVEN]
        if before is not None and given:
            await self._put(conversation, record, TitleRecord(given, before.at))

    async def drop(self, conversation: Conversation) -> None:
        """List it no more until somebody speaks in it."""
        key = self._client.keys.place(conversation)
        await self._client.ask("HDEL", key, title_field(conversation), key=key, commit=True)

    async def _find(self, conversation: Conversation) -> tuple[bytes | None, TitleRecord | None]:
        key = self._client.keys.place(conversation)
        record: bytes | None = await self._client.ask("HGET", key, title_field(conversation), key=key)
        return record, self._client.records.title(record, conversation)

    async def _are_full(self, conversation: Conversation) -> bool:
        key = self._client.keys.place(conversation)
        fields: list[bytes] = await self._client.ask("HKEYS", key, key=key)
        return sum(field.startswith(PREFIX) for field in fields) >= MOST

    async def _put(self, conversation: Conversation, before: bytes | None, title: TitleRecord) -> None:
        """In place of what stood there, and of nothing else: somebody may have renamed it meanwhile."""
        key, field = self._client.keys.place(conversation), title_field(conversation)
        record = self._client.records.encode(title)
        if before is None:
            await self._client.ask("HSETNX", key, field, record, key=key, commit=True)
        else:
            await self._client.run("swap_fields", [key], field, before, record, commit=True)


def title_field(conversation: Conversation) -> bytes:
    """Where its title lies in its place's hash."""
    return PREFIX + conversation.thread.encode()


def _beginning(words: str) -> str:
    """The first words, as a title."""
    line = " ".join(words.split())
    if len(line) <= _LONGEST:
        return line
    word = line.rfind(" ", _LONGEST // 2, _LONGEST)
    return f"{line[: word if word > 0 else _LONGEST]}…"
