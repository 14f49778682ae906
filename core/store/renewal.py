"""Writing records anew as they would be written today: in the newest version, with the first key.

What somebody else changes meanwhile they write anew themselves. So it may be done while all others work, by
several at once, ended anywhere and begun again: what is done already is passed over. Greetings to be said, which
are gone in a minute, and records that nobody can read are left as they are.
"""

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal

from core.errors import StoreUnavailable
from core.store import titles
from core.store.client import Client
from core.store.records import Unreadable
from core.store.walk import PAGE, Seen, Walk, Words, batches, unseen
from core.turns import Conversation

_SWAPPED_AT_ONCE = 50
_TRIES = 100

Swap = tuple[int | str | bytes, bytes, bytes]


class Renewal:
    """Renews what is `outdated`. Everything here raises `StoreUnavailable`; `renewed` counts the records."""

    def __init__(self, client: Client, outdated: Callable[[bytes], bool]) -> None:
        self.renewed = 0
        self._client = client
        self._keys = client.keys
        self._records = client.records
        self._outdated = outdated
        self._walk = Walk(client)

    async def apply(self, page: Sequence[tuple[str, str, str]]) -> None:
        """Renew what these keys hold: each with its kind and what it is of."""
        async for some in self._walk.words_of(page):
            await self._conversations(some)
        for key, kind, _ in page:
            if kind == "p":
                fields: dict[bytes, bytes] = await self._client.ask("HGETALL", key, key=key)
                words = {name: record for name, record in fields.items() if _holds_words(name)}
                await self._fields(key, words)

    async def apply_beside(self) -> None:
        """Renew secrets, and what was set aside: there a time in the clear stands before each record."""
        secrets = self._keys.value("secrets")
        await self._fields(secrets, await self._client.ask("HGETALL", secrets, key=secrets))
        key = self._keys.value("aside")
        kept: dict[bytes, bytes] = await self._client.ask("HGETALL", key, key=key)
        for name, value in kept.items():
            since, _, record = value.partition(b" ")
            for _, _, new in self._swaps([(name, record)]):
                await self._swap("swap_fields", key, [(name, value, since + b" " + new)])

    async def _conversations(self, some: Iterable[tuple[Conversation, Words]]) -> None:
        """At the same time: one disk sync does for all of them."""
        try:
            async with asyncio.TaskGroup() as group:
                for conversation, words in some:
                    group.create_task(self._conversation(conversation, words))
        except ExceptionGroup as failed:
            raise failed.exceptions[0] from failed

    async def _conversation(self, conversation: Conversation, words: Words) -> None:
        await self._list(self._keys.conversation("t", conversation), words.turns)
        await self._list(self._keys.conversation("q", conversation), words.mailbox)
        if words.summary:
            await self._fields(self._keys.conversation("c", conversation), {b"summary": words.summary})
        reply = {name: record for name, record in words.reply.items() if _is_record(name)}
        await self._fields(self._keys.conversation("r", conversation), reply)

    async def _list(self, key: str, page: Sequence[bytes]) -> None:
        """Page after page. A list that loses its first records meanwhile is begun again."""
        for _ in range(_TRIES):
            start, unchanged = 0, True
            while page and unchanged:
                for batch in batches(self._swaps(enumerate(page, start)), _SWAPPED_AT_ONCE):
                    unchanged = unchanged and await self._swap("swap", key, batch)
                start += len(page)
                page = await self._client.ask("LRANGE", key, start, start + PAGE - 1, key=key)
            if unchanged:
                return
            page = await self._client.ask("LRANGE", key, 0, PAGE - 1, key=key)
        raise StoreUnavailable(f"{key} changes all the time")

    async def _fields(self, key: str, fields: dict[bytes, bytes]) -> None:
        if swaps := list(self._swaps(fields.items())):
            await self._swap("swap_fields", key, swaps)

    async def _swap(self, how: Literal["swap", "swap_fields"], key: str, swaps: Sequence[Swap]) -> bool:
        done = await self._client.run(how, [key], *(arg for swap in swaps for arg in swap), commit=True)
        self.renewed += len(swaps) if done else 0
        return bool(done)

    def _swaps(self, records: Iterable[tuple[int, bytes]] | Iterable[tuple[bytes, bytes]]) -> Iterator[Swap]:
        for where, record in records:
            if self._outdated(record):
                try:
                    yield where, record, self._records.renew(record)
                except Unreadable:
                    continue


async def rotate(client: Client, seen: Seen = unseen) -> int:
    """Write everything anew that the first key has not encrypted, and let go of the other keys: how many records.

    All processes must have the first key already as their first. Raises `StoreUnavailable`.
    """
    assert client.keyring is not None, "there is a key"
    renewal = Renewal(client, lambda data: not client.records.is_current(data))
    async for page in Walk(client, seen).keys("c", "q", "t", "p"):
        await renewal.apply(page)
    await renewal.apply_beside()
    _, *others = client.keyring.ids
    sealed_by = client.keys.sealed_by
    if others:
        await client.ask("SREM", sealed_by, *others, key=sealed_by, commit=True)
    return renewal.renewed


def _holds_words(field: bytes) -> bool:
    """Whether a field of a place does."""
    return field == b"persona" or field.startswith(titles.PREFIX)


def _is_record(field: bytes) -> bool:
    """Whether a field of the reply under way holds words."""
    return field in (b"event", b"text") or (field[:1] == b"p" and field[1:].isdigit())
