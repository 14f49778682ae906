"""In which conversation a message is remembered, where its room alone does not say it.

In a room where each person has a conversation of their own, who votes for another one's answer, and a platform
that does not say whose message was deleted, know only where the message stands. So the conversation of each
message and answer there is kept by its place and its id: as long as turns are, or else a year. Whatever forgets
the turns forgets it too.
"""

from collections.abc import Callable, Sequence
from datetime import timedelta

from core.scope import belongs_to_one
from core.store.client import Client
from core.store.keys import conversation_id, parse_conversation
from core.turns import Conversation, Event

_A_YEAR = timedelta(days=365)


class Whereabouts:
    """Those of one store, which keeps turns for as long as `keep`. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client, *, keep: timedelta | None = None) -> None:
        self._client = client
        self._keys = client.keys
        self._seconds = int((keep or _A_YEAR).total_seconds())

    async def note(self, event: Event, *messages: str) -> None:
        """These messages stand where `event` was said, and are remembered in its conversation."""
        if not belongs_to_one(event.conversation):
            return
        remembered = conversation_id(event.conversation)
        for message in filter(None, messages):
            key = self._keys.whereabouts(event.said_in, message)
            await self._client.ask("SET", key, remembered, "EX", self._seconds, key=key)

    async def of(self, event: Event) -> list[Conversation]:
        """Where the message that `event` is about may be remembered."""
        key = self._keys.whereabouts(event.said_in, event.target)
        remembered: bytes | None = await self._client.ask("GET", key, key=key)
        if remembered is not None:
            return [parse_conversation(remembered.decode())]
        # Its room says it, or said it before memory was shared otherwise.
        return list(dict.fromkeys((event.conversation, event.said_in)))

    async def forget(
        self, page: Sequence[tuple[str, str, str]], is_meant: Callable[[str, Conversation], bool]
    ) -> None:
        """Of these keys, each with its kind and what it is of, let those go that are `meant`: by the place where
        the message stands, and by the conversation that remembers it."""
        shards: dict[str, list[tuple[str, str]]] = {}
        for key, kind, name in page:
            if kind == "w":
                place = parse_conversation(name).place
                shards.setdefault(self._keys.tag(place), []).append((key, place))
        for of_shard in shards.values():
            keys = [key for key, _ in of_shard]
            found: list[bytes | None] = await self._client.ask("MGET", *keys, key=keys[0])
            gone = [
                key
                for (key, place), remembered in zip(of_shard, found, strict=True)
                if remembered is not None and is_meant(place, parse_conversation(remembered.decode()))
            ]
            if gone:
                await self._client.ask("DEL", *gone, key=gone[0], commit=True)
