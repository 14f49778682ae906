"""Going through all that a store keeps, a little at a time: for what is asked so rarely that an index, which each
turn would pay for, does not pay.

A pass costs in proportion to what is kept: some three minutes for a million conversations. It never holds up the
server for more than a page of keys, and holds no more than that. What is there all the while is met at least once.
"""

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Literal, TypeVar

from core.store.client import Client
from core.store.keys import parse_conversation
from core.store.pipe import outcomes
from core.store.records import Records
from core.store.scripts import Call
from core.turns import Conversation

T = TypeVar("T")

Seen = Callable[[int], None]
"""Is told how many keys were looked at since the last time."""

PAGE = 256
"""How many turns are read in one go."""

_AT_ONCE = 64  # conversations read in one go: their pages fit into the client's memory, whatever they hold


@dataclass(frozen=True, slots=True)
class Words:
    """The records of one conversation: its first turns, what waits, the summary and the reply under way."""

    turns: list[bytes] = field(repr=False)
    mailbox: list[bytes] = field(repr=False)
    summary: bytes | None = field(repr=False)
    reply: dict[bytes, bytes] = field(repr=False)

    def may_name(self, name: str, records: Records) -> bool:
        """Whether any of it, or what comes after the first turns, may have `name` in it."""
        if len(self.turns) == PAGE:
            return True
        every = (*self.turns, *self.mailbox, self.reply.get(b"event", b""))
        return any(records.may_name(record, name) for record in every)


def unseen(_keys: int) -> None:
    """Nobody wants to know how far it is."""


class Walk:
    """Passes through one store. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client, seen: Seen = unseen) -> None:
        self._client = client
        self._keys = client.keys
        self._seen = seen

    async def keys(self, *kinds: str) -> AsyncIterator[list[tuple[str, str, str]]]:
        """Keys of these kinds, each with its kind and what it is of."""
        async for page in self._client.pages(self._keys.pattern()):
            self._seen(len(page))
            yield [(key, *parsed) for key in page if (parsed := self._keys.parse(key))[0] in kinds]

    async def conversations(
        self, kinds: Iterable[Literal["c", "q", "t"]] = ("q", "t")
    ) -> AsyncIterator[list[Conversation]]:
        """Conversations of which something is kept, some at a time. One may come again."""
        async for page in self.keys(*kinds):
            names = dict.fromkeys(name for _, _, name in page)
            conversations = [parse_conversation(name) for name in names]
            while conversations:
                yield conversations[:_AT_ONCE]
                del conversations[:_AT_ONCE]

    async def words_of(
        self, page: Sequence[tuple[str, str, str]]
    ) -> AsyncIterator[list[tuple[Conversation, "Words"]]]:
        """The conversations that a page of keys is of, each with all that is kept of it, some at a time."""
        names = dict.fromkeys(name for _, kind, name in page if kind in ("c", "q", "t"))
        for some in batches(map(parse_conversation, names), _AT_ONCE):
            yield list(zip(some, await self.words(some), strict=True))

    async def words(self, conversations: Sequence[Conversation]) -> list["Words"]:
        """All that is kept of each of these conversations, with its first `PAGE` turns."""
        shards: dict[str, list[Conversation]] = {}
        for conversation in conversations:
            shards.setdefault(self._keys.tag(conversation.place), []).append(conversation)
        calls = [Call.of("words", list(self._held_by(of_shard)), PAGE) for of_shard in shards.values()]
        found: dict[Conversation, Words] = {}
        for of_shard, answer in zip(shards.values(), await outcomes(self._client.start_all(calls)), strict=True):
            if isinstance(answer, Exception):
                raise answer
            for conversation, (turns, mailbox, summary, reply) in zip(of_shard, answer, strict=True):
                fields = dict(zip(reply[::2], reply[1::2], strict=True))
                found[conversation] = Words(turns, mailbox, summary, fields)
        return [found[conversation] for conversation in conversations]

    async def turns(self, conversation: Conversation, start: int) -> list[bytes]:
        """At most `PAGE` records of memory, from an index on."""
        key = self._keys.conversation("t", conversation)
        records: list[bytes] = await self._client.ask("LRANGE", key, start, start + PAGE - 1, key=key)
        return records

    def _held_by(self, conversations: Iterable[Conversation]) -> Iterable[str]:
        for conversation in conversations:
            for kind in ("t", "q", "c", "r"):
                yield self._keys.conversation(kind, conversation)


def batches(items: Iterable[T], size: int) -> Iterable[list[T]]:
    """The items, at most `size` at a time."""
    left = iter(items)
    while batch := list(islice(left, size)):
        yield batch
