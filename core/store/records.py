"""Events, turns and parts as MessagePack, and back. Records leave out defaults, so that fields may be added."""

import logging
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from core.errors import StoreUnavailable
from core.turns import Conversation, Event, Part, Shown, Turn

log = logging.getLogger(__name__)

T = TypeVar("T")

encode = msgspec.msgpack.Encoder().encode
_events = msgspec.msgpack.Decoder(Event)
_turns = msgspec.msgpack.Decoder(Turn)


class ShowingRecord(msgspec.Struct, array_like=True, frozen=True):
    """What a room was about to show as one message of a reply: `Shown` and a part's end in one record."""

    event: str
    part: int
    text: str
    end: int
    final: bool

    def __repr__(self) -> str:
        return f"ShowingRecord({self.event!r}, {self.part}, end={self.end}, final={self.final})"

    @property
    def shown(self) -> Shown:
        return Shown(self.event, self.part, self.text, self.final)

    def as_part(self, message: bytes | None) -> Part:
        return Part(self.text, self.end, None if message is None else message.decode())


_showings = msgspec.msgpack.Decoder(ShowingRecord)
_pauses = msgspec.msgpack.Decoder(tuple[str, float])


def encode_event(event: Event) -> bytes:
    return encode(_without_defaults(event))


def decode_event(data: bytes) -> Event:
    return _decode(_events, data)


def encode_turn(turn: Turn) -> bytes:
    return encode(_without_defaults(turn))


def decode_turns(records: Iterable[bytes], conversation: Conversation) -> list[Turn]:
    """Turns of one conversation. What cannot be read is left out, and the operator is told: the rest of what was
    said is worth more than none of it."""
    return _readable(_turns, records, conversation)


def decode_events(records: Iterable[bytes], conversation: Conversation) -> list[Event]:
    """Events of one conversation, as `decode_turns`."""
    return _readable(_events, records, conversation)


def decode_showing(data: bytes) -> ShowingRecord:
    return _decode(_showings, data)


def decode_pause(data: bytes) -> tuple[str, float]:
    """A bot and for how many seconds it must be silent."""
    return _decode(_pauses, data)


def _without_defaults(record: Event | Turn) -> dict[str, Any]:
    values = ((field, getattr(record, field.name)) for field in fields(record))
    return {field.name: value for field, value in values if value != field.default}


def _readable(decoder: msgspec.msgpack.Decoder[T], records: Iterable[bytes], of: Conversation) -> list[T]:
    found: list[T] = []
    unreadable = 0
    for record in records:
        try:
            found.append(decoder.decode(record))
        except msgspec.MsgspecError:
            unreadable += 1
    if unreadable:
        log.error("%d records of %s cannot be read by this version", unreadable, of)
    return found


def _decode(decoder: msgspec.msgpack.Decoder[T], data: bytes) -> T:
    try:
        return decoder.decode(data)
    except msgspec.MsgspecError:
        # The decoder's own text may hold a person's words.
        raise StoreUnavailable(f"a {decoder.type.__name__} in Redis was not written by this version") from None
