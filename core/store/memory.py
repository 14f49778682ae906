"""What is remembered, for whoever looks at it. Answering reads and writes memory through claims."""

from collections.abc import AsyncIterator

from core.store.client import Client
from core.store.walk import Walk
from core.summary import Summary
from core.turns import Conversation, Turn


class Memory:
    """The turns of all conversations. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        """The last `last` turns, oldest first."""
        return self._client.records.turns(await self.records(conversation, last), conversation)

    async def records(self, conversation: Conversation, last: int) -> list[bytes]:
        """The records of the last `last` turns, also of those that were forgotten, oldest first."""
        key = self._keys.conversation("t", conversation)
        records: list[bytes] = await self._client.ask("LRANGE", key, -last, -1, key=key)
        return records

    async def exchange(self, conversation: Conversation, index: int, record: bytes, turn: Turn) -> bool:
        """Put `turn` in place of `record`. False: it is not at `index` any more (from the end where negative)."""
        key = self._keys.conversation("t", conversation)
        changed: int = await self._client.run(
            "swap", [key], index, record, self._client.records.encode(turn), commit=True
        )
        return bool(changed)

    async def summary(self, conversation: Conversation) -> Summary:
        """The newest summary, also one that no prompt has yet; an empty one where there is none."""
        key = self._keys.conversation("c", conversation)
        record: bytes | None = await self._client.ask("HGET", key, "summary", key=key)
        return self._client.records.summaries(record, conversation).newest

    async def conversations(self) -> AsyncIterator[Conversation]:
        """Every conversation of which something is remembered, in no order. One may come again."""
        async for page in Walk(self._client).conversations(["t"]):
            for conversation in page:
                yield conversation
