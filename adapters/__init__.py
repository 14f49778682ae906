"""What an adapter is: it speaks one platform, and knows of the core only `core.turns` and `core.errors`."""

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from adapters.wire import Wire
from core.turns import Attachment, Event, Inbox, Reply


class Adapter(Protocol):
    """One platform, for one bot account.

    `listen` runs until it is cancelled and survives whatever the platform does, except a refusal for good: then
    it raises `core.errors.Refused`. `deliver` works from the event alone, in any process, also the second time,
    and returns when the final text is in the room; it raises `core.errors.Refused` when the platform will never
    take it, and whatever the reply raises (`LeaseLost`, `StoreUnavailable`).

    An adapter that is served by HTTP (a webhook, the page) also has `routes`, a list of Starlette routes, and may
    have `bodies`: how many bytes a request may bring under a path, where that is more than the server takes
    elsewhere.
    """

    platform: str

    async def listen(self, inbox: Inbox) -> None: ...

    async def deliver(self, event: Event, reply: Reply) -> None: ...


@runtime_checkable
class Fetches(Protocol):
    """An adapter of a platform on which people send files."""

    def fetch(self, attachment: Attachment) -> AbstractAsyncContextManager[AsyncIterator[bytes]]:
        """The bytes of an attachment of one of this adapter's events, from the platform's own servers and from
        nowhere else. Raises `core.errors.NotFetched`."""
        ...


@runtime_checkable
class Named(Protocol):
    """An adapter that may be one of several of its platform, each for another bot. `name` is the platform's, or
    begins with it and a slash; `bot`, the account, is known before the adapter is entered."""

    name: str
    bot: str


def name_of(adapter: Adapter) -> str:
    """What an adapter is called, where there may be others of its platform."""
    return adapter.name if isinstance(adapter, Named) else adapter.platform


@runtime_checkable
class Wired(Protocol):
    """An adapter of a platform that may be out of reach."""

    wire: Wire


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that `trialogue doctor` looked at. `fix` says what to do, and where to click."""

    ok: bool
    what: str
    fix: str = ""
