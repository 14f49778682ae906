"""What is remembered, for whoever looks after it. Answering reads and writes memory through claims."""

from collections.abc import AsyncIterator

from core.store.client import Client
from core.store.keys import parse_conversation
from core.store.records import decode_turns
from core.turns import Conversation, Turn

_PAGE = 500


class Memory:
    """The turns of all conversations. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        """The last `last` turns, oldest first."""
        return decode_turns(await self._records(conversation, -last, -1), conversation)

    async def forget(self, conversation: Conversation) -> None:
        """Forget turns and summary. What waits for an answer stays, and so does the place's persona."""
        await self._client.run(
            "forget",
            [self._keys.conversation("c", conversation), self._keys.conversation("t", conversation)],
            commit=True,
        )

    async def conversations(self) -> AsyncIterator[Conversation]:
        """Every conversation of which something is remembered, in no order, each once."""
        for key in await self._client.scan(self._keys.pattern("t")):
            yield parse_conversation(key.partition(":t:")[2])

    async def export(self) -> AsyncIterator[tuple[Conversation, Turn]]:
        """Every turn, those of one conversation together and in order."""
        async for conversation in self.conversations():
            last, start = 0, 0
            while page := await self._records(conversation, start, start + _PAGE - 1):
                for turn in decode_turns(page, conversation):
                    if turn.number > last:
                        last = turn.number
                        yield conversation, turn
                start += _PAGE

    async def _records(self, conversation: Conversation, first: int, last: int) -> list[bytes]:
        key = self._keys.conversation("t", conversation)
        records: list[bytes] = await self._client.ask("LRANGE", key, first, last, key=key)
        return records
