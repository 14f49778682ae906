"""One room of one platform, as the planner sees it: what adapters implement, and the errors they translate to.

A refusal for good is `core.errors.Refused`.
"""

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Protocol

from core.turns import Control


class Limited(Exception):
    """The platform asks for silence (429) for `after` seconds: in this room or, `everywhere`, of the whole bot."""

    def __init__(self, after: float, *, everywhere: bool = False) -> None:
        super().__init__(f"silence for {after:.1f} s")
        self.after = after
        self.everywhere = everywhere


class Unavailable(Exception):
    """The platform did not answer as it should: 5xx, HTML instead of JSON, a cut connection, a time-out.

    `in_doubt`: the call may have worked all the same.
    """

    def __init__(self, *, in_doubt: bool) -> None:
        super().__init__("the call may have worked" if in_doubt else "the call did not work")
        self.in_doubt = in_doubt


class MessageGone(Exception):
    """The message to edit is not there any more: a person or a moderator removed it."""


class Unattached(Exception):
    """The platform adds no file to this message, and never will."""


@dataclass(frozen=True, slots=True)
class File:
    """A text as a file with a name."""

    name: str
    text: str = field(repr=False)


class Channel(Protocol):
    """One room, for one reply.

    All calls raise `Limited`, `Unavailable` and `core.errors.Refused`, and nothing else but what `edit` says. They
    may be cancelled at any await. They make one attempt: budgets, retries and their order are the planner's.
    """

    @property
    def limit(self) -> int:
        """The largest size of one message."""
        ...

    def size(self, source: str) -> int:
        """How much of `limit` the Markdown `source` needs as the platform counts it, after rendering."""
        ...

    @property
    def streams(self) -> bool:
        """Whether a message that grows is shown otherwise than one that is whole. Only then `grows` is ever true,
        and a message that has grown is edited once more when it is whole, also if nothing else changes."""
        ...

    async def send(self, source: str, *, key: str, controls: Sequence[Control] = (), grows: bool = False) -> str:
        """Post a message with `controls` under it; return the platform's id of it. Idempotent for `key` where the
        platform can be. `grows`: what it reads is how it begins."""
        ...

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,
        file: File | None = None,
    ) -> None:
        """Make `message` read `source`, with `controls` under it and `file` as its only one. Raises `MessageGone`,
        and with a file `Unattached`; an edit that changes nothing is not an error. `grows`: what it reads now is
        how it begins."""
        ...

    async def tell(self, source: str) -> None:
        """Say it to the person alone who pressed something, if that is still possible. Its failures are logged,
        never raised."""
        ...

    async def find(self, key: str, source: str) -> str | None:
        """The message of an earlier `send` with this key whose outcome is unknown.

        `source` is what was last asked for under the key. None: it is not there, or the platform cannot tell.
        """
        ...

    def typing(self) -> AbstractAsyncContextManager[None]:
        """'Is typing', from enter to exit. Renews itself; its failures are logged, never raised."""
        ...
