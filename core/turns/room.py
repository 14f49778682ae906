"""Where something is said, who shares what is remembered of it, and who says it."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Room:
    """Where an event came from and where its reply goes.

    `bot` is the account on the platform that was spoken to: two bots never share a room. `address` is a small
    flat mapping that only the adapter reads (channel, thread, an interaction's token) and that is never logged.
    """

    platform: str
    bot: str
    address: Mapping[str, str | int | float | bool | None] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Conversation:
    """Who shares memory and order. Opaque to everybody but `Conversation.of`.

    `place` is the channel or chat: what is set for a place (its persona) holds for all conversations in it, and
    a store keeps them together. `thread` is one conversation within the place; empty where there is only one.
    """

    place: str
    thread: str = ""

    @classmethod
    def of(cls, room: Room, place: str | int, thread: str | int = "") -> "Conversation":
        """The conversation of a platform's channel or chat `place` and, where it has them, `thread` or topic."""
        return cls(f"{room.platform}/{room.bot}/{place}", str(thread))

    @property
    def platform(self) -> str:
        return self.place.partition("/")[0]

    @property
    def account(self) -> str:
        """The platform, and the bot's account on it."""
        return "/".join(self.place.split("/", 2)[:2])

    def __str__(self) -> str:
        return f"{self.place}/{self.thread}" if self.thread else self.place


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who wrote something: the platform's id for the person, and the name that people see."""

    id: str
    name: str = field(default="", repr=False)
