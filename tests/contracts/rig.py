"""What the contract suite needs of a platform: a person, a bot, and a look at the room.

A rig holds a real adapter and the loopback platform that it talks to. Everything it does goes over the wire.
"""

from collections.abc import Callable
from types import TracebackType
from typing import Protocol, Self

from adapters import Adapter
from adapters.delivery import Pace, Rate

Replies = Callable[[list[str]], bool]

BRISK = Pace(room=(Rate(100, 1.0),), bot=(Rate(100, 1.0),), draft_interval=1.0)
"""For platforms without limits, as the fakes are here. Their limits are tested beside each adapter."""


class AloneRig(Protocol):
    """A place where one person talks to the bot."""

    adapter: Adapter

    async def __aenter__(self) -> Self: ...

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None, /
    ) -> None: ...

    async def direct(self, text: str, *, person: str = "ann") -> str:
        """A direct message; returns the platform's id of it."""
        ...

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        """What the bot's messages there read now, oldest first."""
        ...

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]: ...


class DirectRig(AloneRig, Protocol):
    """A platform on which several people talk to the bot, each alone."""

    async def redeliver(self, message_id: str) -> None:
        """The platform delivers that message once more."""
        ...


class ActingRig(DirectRig, Protocol):
    """A platform on which people do more than write: they send files, change what they said, and press buttons."""

    async def attached(self, text: str, name: str, data: bytes, kind: str, *, person: str = "ann") -> str:
        """A direct message with a file of the media type `kind`."""
        ...

    def controls(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        """What can be pressed under the bot's last message there, as it reads."""
        ...

    async def press(self, label: str, *, person: str = "ann", room: str | None = None) -> None:
        """`person` presses that under the bot's last message in `room`, or in the direct messages with Ann."""
        ...

    async def forge(self, what: str, *, person: str = "ann") -> None:
        """As `press`, with what no button of ours says."""
        ...

    async def until_told(self, sentence: str, *, person: str = "ann") -> None:
        """Wait until the bot has said that to the person alone."""
        ...

    async def edit(self, message_id: str, text: str) -> None:
        """The person changes what they wrote."""
        ...

    async def command(self, name: str, text: str = "", *, person: str = "ann", room: str | None = None) -> None:
        """The person makes a command there, in the way of the platform."""
        ...

    def heard(self, *, person: str = "ann", room: str | None = None) -> list[str]:
        """What the bot has said in the room or in the direct messages, and to the person alone."""
        ...

    async def until_said(self, part: str, *, person: str = "ann", room: str | None = None) -> None:
        """Wait until the bot has said something with `part` in it, where the person hears it."""
        ...

    def promote(self, person: str) -> None:
        """From now on the person manages the rooms."""
        ...


class Rig(ActingRig, Protocol):
    """A platform that has rooms with several people as well."""

    limit: int

    async def addressed(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        """A message in a room that mentions the bot."""
        ...

    async def overheard(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        """A message in a room that is not meant for the bot."""
        ...

    async def about(self, text: str, to: str, *, person: str = "ann", room: str = "general") -> str:
        """A message that mentions the bot and refers to `to`: as a reply, or in the thread under it."""
        ...

    async def own_echo(self) -> None:
        """The platform delivers a message of the bot itself, and one of another bot."""
        ...

    async def remove_bot(self, room: str) -> None: ...

    def files(self, person: str = "ann") -> list[tuple[str, str]]:
        """Names and texts of the files under the bot's direct messages to `person`."""
        ...

    def refuse_files(self) -> None:
        """From now on the platform takes no file of the bot."""
        ...


class AskingRig(Rig, Protocol):
    """A platform on which the bot stands in the menu of messages."""

    async def ask(self, message_id: str, *, person: str = "ann") -> None: ...


class DeletingRig(Rig, Protocol):
    """A platform that tells bots of messages that were taken away."""

    async def delete(self, message_id: str) -> None: ...
