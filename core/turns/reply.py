"""What a worker hands to an adapter's `deliver`: the reply, and what was shown of it."""

import hashlib
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from core.turns.event import Action
from core.turns.room import Conversation


@dataclass(frozen=True, slots=True)
class Control:
    """Something to press under an answer: `action` is what it does, and `label` what it reads. `None`: it only
    says something."""

    action: Action | None
    label: str


@dataclass(frozen=True, slots=True)
class Draft:
    """The text of a reply so far: Markdown, from its first character. Only the last one is `final`.

    `controls` stand under it where the platform has such. `private`: it is for the person alone who did what is
    answered, and no answer of the model. `pending`: no word of the reply is there yet, and the text says what it
    waits for; it is recorded as no text at all. `filed`: where the room takes files, it reads only this, and has
    the text as a file.
    """

    text: str = field(repr=False)
    final: bool = False
    controls: tuple[Control, ...] = ()
    private: bool = False
    pending: bool = False
    filed: str = ""


@dataclass(frozen=True, slots=True)
class Part:
    """One platform message of a reply, as it was recorded.

    `text` is the reply's own Markdown from the end of the part before up to `end`, a position in the reply.
    `message` is the platform's id of the message; `None` when it was asked for and never confirmed: it may stand
    in the room or not.
    """

    text: str = field(repr=False)
    end: int
    message: str | None = None


class Reply(Protocol):
    """What a worker hands to `deliver`: the reply while it is being written, and the record of what was shown.

    Iterating gives the newest text; drafts that nobody waited for are skipped. The last one is final, and comes
    only after the reply is on disk. `parts` is what was recorded already, by this or an earlier worker. `replaces`
    are messages that stand in the room already and are to show this reply, in their order: part number i is the
    i-th of them, and what is left over is not needed any more.
    """

    @property
    def parts(self) -> Sequence[Part]: ...

    @property
    def replaces(self) -> Sequence[str]: ...

    def __aiter__(self) -> AsyncIterator[Draft]: ...

    def key(self, part: int) -> str:
        """At most 25 letters and digits that name this part of this reply, the same after every takeover."""
        ...

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        """Record, durably, that the room is about to show `text` as its message number `part`.

        Must be called before each change of the room. Returns the event loop's time by which the platform call
        must have ended (cancel it then): after that somebody else may own the conversation. Raises `LeaseLost`
        and `StoreUnavailable`.
        """
        ...

    async def shown(self, part: int, message: str) -> None:
        """Record that part number `part` is the platform's message `message`. Called once for each part.

        Raises `LeaseLost` and `StoreUnavailable`.
        """
        ...

    def stop(self) -> None:
        """Somebody has ended it by the platform's own means: no more of it is written, and what there is becomes
        its final text. Where that is there already, nothing changes."""
        ...


def key_of(conversation: Conversation, event_id: str, part: int) -> str:
    """`Reply.key` for every implementation: from what outlives a takeover, and nothing else."""
    digest = hashlib.blake2b(f"{conversation}\0{event_id}\0{part}".encode(), digest_size=12)
    return digest.hexdigest()
