"""A person's conversations as a list: looked through, searched, renamed, deleted. Answering never asks this."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import replace

from core.store import news
from core.store.channels import Channels
from core.store.client import Client
from core.store.forget import Forget
from core.store.places import Places
from core.store.titles import Titles
from core.store.walk import PAGE
from core.turns import Conversation, Listed, News

_SEARCHED = 20_000
"""How many turns one search reads at most, the newest conversations first: it is a fraction of a second's work."""

_BEFORE, _AFTER = 30, 60  # characters of an excerpt around what was found


class Library:
    """The lists of all places. Everything here but `tell` raises `StoreUnavailable`. What changes a list is told
    to whoever watches it."""

    def __init__(self, client: Client, channels: Channels, titles: Titles, places: Places, forget: Forget) -> None:
        self._client = client
        self._channels = channels
        self._titles = titles
        self._places = places
        self._forget = forget

    async def all(self, place: str) -> list[Listed]:
        """What is listed there, the one in which somebody spoke last first."""
        return await self._titles.of(place)

    async def find(self, place: str, text: str) -> list[Listed]:
        """Those with each word of `text` in their title, or in one turn, of which `excerpt` then shows a part."""
        words = text.casefold().split()
        found, left = [], _SEARCHED
        for listed in await self._titles.of(place):
            if _has(listed.title, words):
                found.append(listed)
            elif left > 0:
                excerpt, read = await self._search(listed.conversation, words, left)
                left -= read
                if excerpt:
                    found.append(replace(listed, excerpt=excerpt))
        return found

    async def persona(self, conversation: Conversation) -> str:
        """As `Places.persona`."""
        return await self._places.persona(conversation)

    async def note(self, conversation: Conversation, words: str, at: float) -> bool:
        """As `Titles.note`."""
        listed = await self._titles.note(conversation, words, at)
        if listed:
            await self.tell(News(conversation, "listed"))
        return listed

    async def rename(self, conversation: Conversation, title: str) -> None:
        """As `Titles.rename`."""
        await self._titles.rename(conversation, title)
        await self.tell(News(conversation, "listed"))

    async def drop(self, conversation: Conversation) -> None:
        """As `Titles.drop`."""
        await self._titles.drop(conversation)
        await self.tell(News(conversation, "listed"))

    async def forget(self, conversation: Conversation) -> None:
        """All of it: what was said, what waits, what is being answered, and its title."""
        await self._forget.conversation(conversation)

    async def tell(self, told: News) -> None:
        """As `news.tell`."""
        await news.tell(self._client, told)

    def watch(self, place: str, heard: Callable[[News | None], None]) -> AbstractAsyncContextManager[None]:
        """As `news.watch`."""
        return news.watch(self._client, self._channels, place, heard)

    async def _search(self, conversation: Conversation, words: Sequence[str], most: int) -> tuple[str, int]:
        """What stands around the newest place where they are found, and how many turns were read."""
        key = self._client.keys.conversation("t", conversation)
        read = 0
        while read < most:
            page = await self._client.ask("LRANGE", key, -read - PAGE, -read - 1, key=key)
            for turn in reversed(self._client.records.turns(page, conversation)):
                if _has(turn.text, words):
                    return _around(turn.text, words[0]), read + len(page)
            read += len(page)
            if len(page) < PAGE:
                break
        return "", read


def _has(text: str, words: Sequence[str]) -> bool:
    folded = text.casefold()
    return all(word in folded for word in words)


def _around(text: str, word: str) -> str:
    at = text.casefold().find(word)  # folding may move it by a character or two, which an excerpt bears
    start, end = max(0, at - _BEFORE), at + len(word) + _AFTER
    excerpt = " ".join(text[start:end].split())
    return ("…" if start else "") + excerpt + ("…" if end < len(text) else "")
