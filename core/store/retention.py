"""Letting old turns go: by age and by count, in conversations that nobody visits too.

A turn does nothing for this. A pass looks at the first and the last turn of each conversation, a page of keys at a
time, and reads on only where something is too old; a conversation whose last turn is too old goes as a whole. With
what a pass costs, once an hour is often enough.
"""

import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from core.store.aside import Aside
from core.store.client import Client
from core.store.keys import parse_conversation
from core.store.pipe import outcomes
from core.store.records import Unreadable
from core.store.scripts import Call
from core.store.titles import Titles
from core.store.walk import Walk
from core.turns import Conversation, Turn


class Retention:
    """What one store keeps: turns for as long as `keep` (`None`: for ever), and `max_turns` of a conversation.

    Everything here raises `StoreUnavailable`.
    """

    def __init__(self, client: Client, aside: Aside, *, keep: timedelta | None, max_turns: int) -> None:
        self._client = client
        self._keys = client.keys
        self._aside = aside
        self._walk = Walk(client)
        self._titles = Titles(client)
        self._keep = keep
        self._max_turns = max_turns

    async def apply(self, page: Sequence[tuple[str, str, str]]) -> None:
        """Let go what is too old, or too much, of these keys: each with its kind and what it is of."""
        oldest = 0.0 if self._keep is None else time.time() - self._keep.total_seconds()
        shards: dict[str, list[tuple[str, Conversation]]] = {}
        for key, kind, name in page:
            if kind == "t":
                conversation = parse_conversation(name)
                shards.setdefault(self._keys.tag(conversation.place), []).append((key, conversation))
            elif kind == "unreadable" and oldest:
                await self._client.ask("XTRIM", key, "MINID", int(oldest * 1000), key=key)
            elif kind == "p" and oldest:
                await self._drop_titles(name, oldest)
        calls = [Call.of("ages", [key for key, _ in of_shard]) for of_shard in shards.values()]
        for of_shard, answer in zip(shards.values(), await outcomes(self._client.start_all(calls)), strict=True):
            if isinstance(answer, Exception):
                raise answer
            for (_, conversation), ages in zip(of_shard, answer, strict=True):
                await self._trim(conversation, oldest, *ages)

    async def _drop_titles(self, place: str, oldest: float) -> None:
        """Of conversations in which nobody has spoken since: nothing is left of them."""
        for listed in reversed(await self._titles.of(place)):
            if listed.at >= oldest:
                return
            await self._titles.drop(listed.conversation)

    async def apply_beside(self) -> None:
        """Let go what is too old of what was set aside."""
        if self._keep is not None:
            await self._aside.expire(time.time() - self._keep.total_seconds())

    async def _trim(self, conversation: Conversation, oldest: float, count: int, first: Any, last: Any) -> None:
        if first is None:
            return
        gone = max(0, count - self._max_turns)
        if self._is_old(last, oldest):
            gone = count
        elif self._is_old(first, oldest):
            gone = max(gone, await self._old_turns(conversation, oldest))
        if gone:
            keys = [self._keys.conversation(kind, conversation) for kind in ("c", "q", "t")]
            await self._client.run("expire", keys, first, gone)

    async def _old_turns(self, conversation: Conversation, oldest: float) -> int:
        """How many turns at the beginning are too old. One without a time is as old as the next that has one, and
        an answer goes with its question: alone it would not say whose it is."""
        old, index, event = 0, 0, ""
        while page := await self._walk.turns(conversation, index):
            for record in page:
                index += 1
                turn = self._turn(record)
                if self._is_old(record, oldest) or (turn is not None and turn.event == event != ""):
                    old, event = index, turn.event if turn else ""
                elif self._at(record):
                    return old
        return old

    def _is_old(self, record: bytes, oldest: float) -> bool:
        return 0 < self._at(record) < oldest

    def _at(self, record: bytes) -> float:
        turn = self._turn(record)
        return 0.0 if turn is None else turn.at

    def _turn(self, record: bytes) -> Turn | None:
        try:
            return self._client.records.decode(Turn, record)
        except Unreadable:
            return None
