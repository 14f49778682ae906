"""What every corpus is read as: dialogues, and records that are none with their place."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import cached_property
from itertools import groupby
from operator import attrgetter
from typing import Any, Literal

import msgspec

from core.engine.engine import Message

_ROLES = ("system", "user", "assistant")
_encode = msgspec.msgpack.Encoder().encode


class BadRecord(Exception):
    """There is no dialogue in it. The text says why, and nothing of what people said."""


@dataclass(frozen=True, slots=True)
class Bad:
    """A record that was not taken. `place` is the file and the line, or what the file has in its place."""

    place: str
    why: str


@dataclass(frozen=True)
class Dialogue:
    """Messages: none is empty, no two in a row have the same role, and only the first may be the system's."""

    messages: tuple[Message, ...] = field(repr=False)

    @classmethod
    def of(cls, messages: Iterable[tuple[Any, Any]]) -> "Dialogue":
        """From roles and texts. What one says in several messages is one, in several lines. Raises `BadRecord`."""
        said = [_message(role, text) for role, text in messages]
        if any(message.role == "system" for message in said[1:]):
            raise BadRecord("a system message stands behind others")
        turns = tuple(
            Message(role, "\n".join(message.text for message in run))
            for role, run in groupby(said, attrgetter("role"))
        )
        if not turns or turns[-1].role == "system":
            raise BadRecord("nobody says anything")
        return cls(turns)

    @cached_property
    def digest(self) -> bytes:
        """The same for the same messages, on any machine."""
        said = [(message.role, message.text) for message in self.messages]
        return hashlib.blake2b(_encode(said), digest_size=16).digest()

    @property
    def answered(self) -> bool:
        """Whether the assistant answers somebody."""
        return any(message.role == "assistant" for message in self.messages[1:])


Record = Dialogue | Bad


def in_turn(texts: Iterable[Any]) -> Iterable[tuple[Literal["user", "assistant"], Any]]:
    """Two who speak in turn: the one who begins is the user."""
    for i, text in enumerate(texts):
        yield ("assistant" if i % 2 else "user"), text


def _message(role: Any, text: Any) -> Message:
    if role not in _ROLES:
        raise BadRecord("a message is of nobody among system, user and assistant")
    if not isinstance(text, str):
        raise BadRecord("the content of a message is no text")
    if not (text := text.strip()):
        raise BadRecord("a message is empty")
    return Message(role, text)
