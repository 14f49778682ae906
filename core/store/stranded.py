"""What waits for bots for which nobody answers, because they were taken out of the settings: it stays, and nobody
takes it. This module does not know which bots there are; whoever asks says it.

It looks at what is ready on some platforms, and not through the whole store.
"""

from collections.abc import AsyncIterator, Callable, Collection, Sequence
from dataclasses import dataclass, field

from core.scope import PEOPLE, is_one_persons
from core.store.client import Client
from core.store.keys import conversation_id, parse_conversation
from core.store.records import Unreadable
from core.store.walk import Walk, Words, batches
from core.turns import Conversation, Event

PAGE = 64
"""How many conversations are looked at in one go."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """So many messages and commands wait for the bot `account`, as `Conversation.account` has it, the first of
    them `since` then, in seconds since the epoch."""

    account: str
    count: int
    since: float


@dataclass(frozen=True, slots=True)
class _Mail:
    """What waits for one bot in one conversation, or in one stream of control events."""

    account: str
    since: float
    of: Conversation | str
    records: Sequence[bytes] = field(repr=False)


class Stranded:
    """What waits on `platforms` where nobody `is_answered`. Everything here raises `StoreUnavailable`."""

    def __init__(
        self, client: Client, platforms: Collection[str], is_answered: Callable[[Conversation], bool]
    ) -> None:
        self._client = client
        self._keys = client.keys
        self._platforms = platforms
        self._is_answered = is_answered

    async def look(self) -> list[Waiting]:
        """How much waits for each bot, by their accounts."""
        found: dict[str, Waiting] = {}
        async for mail in self._mail():
            before = found.get(mail.account, Waiting(mail.account, 0, mail.since))
            count, since = before.count + len(mail.records), min(before.since, mail.since)
            found[mail.account] = Waiting(mail.account, count, since)
        return [found[account] for account in sorted(found)]

    async def drop(self, account: str) -> int:
        """Let go of what waits for a bot; how much that was. What is remembered stays."""
        dropped = 0
        async for mail in self._mail():
            if mail.account != account:
                continue
            if isinstance(mail.of, Conversation):
                await self._expel(mail.of, mail.records)
            else:
                for entry in mail.records:
                    await self._client.run("done", [mail.of], entry, commit=True)
            dropped += len(mail.records)
        return dropped

    async def _mail(self) -> AsyncIterator[_Mail]:
        for platform in (*self._platforms, PEOPLE):
            for stream in self._keys.queues("ready", platform):
                async for page in self._pages(stream):
                    async for mail in self._of_conversations(page):
                        yield mail
        for platform in self._platforms:
            for stream in self._keys.queues("ctl", platform):
                async for page in self._pages(stream):
                    for entry, fields in page:
                        if account := self._account(fields[b"e"]):
                            yield _Mail(account, _seconds(entry), stream, [entry])

    async def _of_conversations(self, page: Sequence[tuple[bytes, dict[bytes, bytes]]]) -> AsyncIterator[_Mail]:
        since = {parse_conversation(fields[b"c"].decode()): _seconds(entry) for entry, fields in page}
        unsure = [each for each in since if is_one_persons(each) or not self._is_answered(each)]
        for conversation, words in zip(unsure, await Walk(self._client).words(unsure), strict=True):
            for account, records in self._by_account(conversation, words).items():
                yield _Mail(account, since[conversation], conversation, records)

    def _by_account(self, conversation: Conversation, words: Words) -> dict[str, list[bytes]]:
        found: dict[str, list[bytes]] = {}
        under_way = words.reply.get(b"event")
        for record in [*([under_way] if under_way else ()), *words.mailbox]:
            account = self._account(record) if is_one_persons(conversation) else conversation.account
            if account:
                found.setdefault(account, []).append(record)
        return found

    def _account(self, record: bytes) -> str:
        """The bot that an event was said to; empty for one that is answered, or that cannot be read."""
        try:
            said_in = self._client.records.decode(Event, record).said_in
        except Unreadable:
            return ""
        return "" if self._is_answered(said_in) else said_in.account

    async def _expel(self, conversation: Conversation, records: Sequence[bytes]) -> None:
        keys = [*self._keys.of(conversation, "c", "q", "r"), self._keys.ready(conversation)]
        for some in batches(records, PAGE):
            await self._client.run("expel", keys, conversation_id(conversation), *some, commit=True)

    async def _pages(self, stream: str) -> AsyncIterator[list[tuple[bytes, dict[bytes, bytes]]]]:
        start = b"-"
        while page := await self._client.ask("XRANGE", stream, start, "+", "COUNT", PAGE, key=stream):
            yield page
            start = b"(" + page[-1][0]


def _seconds(entry: bytes) -> float:
    """When an entry was made, by the server's clock."""
    return int(entry.partition(b"-")[0]) / 1000
