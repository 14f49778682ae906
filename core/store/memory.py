"""What is remembered, for whoever looks at it. Answering reads and writes memory through claims."""

from collections.abc import AsyncIterator

from core.store.branches import branches, number_of
from core.store.client import Client
from core.store.taking import WIDEST_WINDOW
from core.store.walk import PAGE, Walk
from core.summary import Summary
from core.turns import Conversation, Turn


class Memory:
    """The turns of all conversations. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._keys = client.keys

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        """The last `last` turns, oldest first; 0: all."""
        return self._client.records.turns(await self.records(conversation, last), conversation)

    async def records(self, conversation: Conversation, last: int) -> list[bytes]:
        """The records of the last `last` turns, also of those that were forgotten, oldest first."""
        key = self._keys.conversation("t", conversation)
        records: list[bytes] = await self._client.ask("LRANGE", key, -last, -1, key=key)
        return records

    async def up_to(self, conversation: Conversation, message: str, most: int = WIDEST_WINDOW) -> list[Turn]:
        """The last `most` turns, oldest first, up to the answer that stands in the platform's `message`, or that
        is the answer to it. Empty: neither is remembered."""
        key = self._keys.conversation("t", conversation)
        turns: list[Turn] = []
        read, found = 0, False
        while records := await self._client.ask("LRANGE", key, -read - PAGE, -read - 1, key=key):
            read += len(records)
            page = self._client.records.turns(records, conversation)
            turns = [*page, *turns]
            for i in () if found else range(len(page) - 1, -1, -1):
                if message in page[i].messages:
                    found, turns = True, turns[: i + 1 + (page[i].role == "user")]
                    break
            if found and len(turns) >= most:
                break
        return turns[-most:] if found else []

    async def branches(self, conversation: Conversation) -> list[list[Turn]]:
        """The turns of each branch that was left, oldest first."""
        found = [await self.turns(branch, 0) for branch in branches(conversation)]
        return [turns for turns in found if turns]

    async def is_left_behind(self, conversation: Conversation, message: str) -> bool:
        """Whether a turn that stands in the platform's `message` is in a branch."""
        left = await self.branches(conversation)
        return any(message in turn.messages for turns in left for turn in turns)

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
                if not number_of(conversation):
                    yield conversation
