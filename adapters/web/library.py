"""What the page asks of the store beside the inbox: the conversations of an owner, and whose a key is."""

from collections.abc import Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Protocol

from core.turns import Conversation, Listed, News


class Library(Protocol):
    """The conversations of each place, listed by their titles, the one in which somebody spoke last first.

    All of it but `tell` raises `StoreUnavailable`, and what is changed is on disk when it returns; then whoever
    watches the list is told.
    """

    async def all(self, place: str) -> Sequence[Listed]: ...

    async def find(self, place: str, text: str) -> Sequence[Listed]:
        """Those with each word of `text` in their title or in what was said at once."""
        ...

    async def persona(self, conversation: Conversation) -> str:
        """Who the bot is to be in the conversation's place; empty: its usual self."""
        ...

    async def note(self, conversation: Conversation, words: str, at: float) -> bool:
        """Somebody says `words`: list the conversation, by these unless it has a title. False: too many are."""
        ...

    async def rename(self, conversation: Conversation, title: str) -> None: ...

    async def drop(self, conversation: Conversation) -> None:
        """List it no more until somebody speaks in it again."""
        ...

    async def forget(self, conversation: Conversation) -> None:
        """Take away all that is kept of it."""
        ...

    async def tell(self, told: News) -> None:
        """Tell whoever watches the list, in any process. Nothing of it is kept."""
        ...

    def watch(self, place: str, heard: Callable[[News | None], None]) -> AbstractAsyncContextManager[None]:
        """`heard` gets what is new in the place's list while the block runs; `None`: something may have been
        missed. It may not wait."""
        ...


class Keys(Protocol):
    """The keys that were given to people."""

    async def valid(self, secret: str) -> str | None:
        """The id of the key that was made as `secret`, if it may be used. Raises `StoreUnavailable`."""
        ...
