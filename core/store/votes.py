"""Who liked an answer, and who did not: kept with the answer, so that it is exported and forgotten with it."""

from dataclasses import replace

from core.store.branches import branches
from core.store.client import Client
from core.store.memory import Memory
from core.turns import Conversation, Turn

_LOOKED_THROUGH = 400
"""How many of the last turns are searched for an answer."""


class Votes:
    """Those of all conversations."""

    def __init__(self, client: Client, memory: Memory) -> None:
        self._client = client
        self._memory = memory

    async def cast(self, conversation: Conversation, message: str, person: str, vote: int) -> Turn | None:
        """Have `person` vote 1 or -1 for the answer that stands in `message`; an earlier vote of theirs goes.

        Returns the answer, or `None` where none is remembered among the last 400 turns, and those of each branch.
        Raises `StoreUnavailable`.
        """
        for where in (conversation, *branches(conversation)):
            while (found := await self._find(where, message)) is not None:
                index, record, answer = found
                votes = {**dict(answer.votes), person: vote}
                voted = replace(answer, votes=tuple(votes.items()))
                if await self._memory.exchange(where, index, record, voted):
                    return voted
        return None

    async def _find(self, conversation: Conversation, message: str) -> tuple[int, bytes, Turn] | None:
        records = await self._memory.records(conversation, _LOOKED_THROUGH)
        for back, record in enumerate(reversed(records), start=1):
            for turn in self._client.records.turns([record], conversation):
                if turn.role == "assistant" and message in turn.messages:
                    return -back, record, turn
        return None
