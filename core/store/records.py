"""Events, turns, parts and texts as bytes, and back: every record that holds a person's words is made here.

    0xC1, version, MessagePack or text          in the clear
    0xC1, version + 128, what a keyring made    encrypted (see `sealing`)

MessagePack never begins with 0xC1, and UTF-8 has no such byte: a reader that does not know the version, or knows
of none (the first one wrote none), refuses the record and does not misread it. Records leave out defaults, so that
fields may be added without a new version.
"""

import logging
from collections.abc import Iterable
from dataclasses import fields
from typing import Any, TypeVar

import msgspec

from core.errors import StoreUnavailable
from core.store.sealing import CannotOpen, Keyring
from core.summary import NO_SUMMARIES, Summaries
from core.turns import Conversation, Event, Part, Shown, Turn

log = logging.getLogger(__name__)

T = TypeVar("T")

VERSION = 2
"""What is written. Version 1, without a head, is read as well."""

_MARK, _SEALED = 0xC1, 0x80
_HEAD = bytes([_MARK, VERSION])
_SEALED_HEAD = bytes([_MARK, VERSION | _SEALED])

encode_plain = msgspec.msgpack.Encoder().encode

_FIELDS = {kind: [(field.name, field.default) for field in fields(kind)] for kind in (Event, Turn)}


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


class TitleRecord(msgspec.Struct, frozen=True, array_like=True):
    """A conversation in its place's list."""

    title: str
    at: float

    def __repr__(self) -> str:
        return f"TitleRecord(at={self.at})"


class AsideRecord(msgspec.Struct, frozen=True, array_like=True):
    """An event that was set aside after so many tries."""

    event: Event
    tries: int


_decoders: dict[type, msgspec.msgpack.Decoder[Any]] = {
    kind: msgspec.msgpack.Decoder(kind)
    for kind in (Event, Turn, ShowingRecord, TitleRecord, AsideRecord, Summaries)
}
_pauses = msgspec.msgpack.Decoder(tuple[str, float])


class Unreadable(StoreUnavailable):
    """A record that this program cannot read. The text says why, and no word of it."""


class Records:
    """The records of one store; encrypted where there is a keyring."""

    def __init__(self, keyring: Keyring | None = None) -> None:
        self._keyring = keyring

    def encode(self, record: Event | Turn | ShowingRecord | TitleRecord | AsideRecord | Summaries) -> bytes:
        return self._wrap(encode_plain(_bare(record)))

    def decode(self, kind: type[T], data: bytes) -> T:
        """The record in `data`. Raises `Unreadable`."""
        body = self._unwrap(data)
        try:
            decoded: T = _decoders[kind].decode(body)
        except msgspec.MsgspecError:
            # The decoder's own text may hold a person's words.
            raise Unreadable(f"a {kind.__name__} in Redis was not written by this version") from None
        return decoded

    def encode_text(self, text: str) -> bytes:
        return self._wrap(text.encode())

    def decode_text(self, data: bytes) -> str:
        """Raises `Unreadable`."""
        try:
            return self._unwrap(data).decode()
        except UnicodeDecodeError:
            raise Unreadable("a text in Redis was not written by this version") from None

    def text_if_readable(self, data: bytes | None, of: Conversation) -> str | None:
        """A text that a conversation can do without; one that cannot be read is kept, and the operator is told."""
        try:
            return self.decode_text(data) if data else None
        except Unreadable as exc:
            log.error("a text of %s is left out: %s", of, exc)  # noqa: TRY400 - the trace has nothing more
            return None

    def summaries(self, data: bytes | None, of: Conversation) -> Summaries:
        """Those of one conversation, which it can do without: as for `text_if_readable`."""
        for summaries in self._readable(Summaries, [data] if data else [], of):
            return summaries
        return NO_SUMMARIES

    def title(self, data: bytes | None, of: Conversation) -> TitleRecord | None:
        """That of one conversation, which it can do without: as for `text_if_readable`."""
        for title in self._readable(TitleRecord, [data] if data else [], of):
            return title
        return None

    def turns(self, records: Iterable[bytes], of: Conversation) -> list[Turn]:
        """Turns of one conversation, without those that were forgotten. What cannot be read is left out, and the
        operator is told: the rest of what was said is worth more than none of it."""
        return [turn for turn in self._readable(Turn, records, of) if not is_forgotten(turn)]

    def events(self, records: Iterable[bytes], of: Conversation) -> list[Event]:
        """Events of one conversation. What cannot be read is left out, as in `turns`."""
        return self._readable(Event, records, of)

    def _readable(self, kind: type[T], records: Iterable[bytes], of: Conversation) -> list[T]:
        found: list[T] = []
        unreadable: list[Unreadable] = []
        for record in records:
            try:
                found.append(self.decode(kind, record))
            except Unreadable as exc:
                unreadable.append(exc)
        if unreadable:
            log.error("%d records of %s cannot be read: %s", len(unreadable), of, unreadable[0])
        return found

    def may_name(self, data: bytes, name: str) -> bool:
        """Whether a record may have `name` in it; cheaper than to read it."""
        return name.encode() in data or (data[:1] == _HEAD[:1] and data[1:2] >= b"\x80")

    def is_current(self, data: bytes) -> bool:
        """Whether this is how we would write it now."""
        if self._keyring is None:
            return data.startswith(_HEAD)
        return data.startswith(_SEALED_HEAD) and self._keyring.is_current(data[len(_SEALED_HEAD) :])

    def renew(self, data: bytes) -> bytes:
        """The same record as we would write it now. Raises `Unreadable`."""
        return self._wrap(self._unwrap(data))

    def _wrap(self, body: bytes) -> bytes:
        return _HEAD + body if self._keyring is None else _SEALED_HEAD + self._keyring.seal(body)

    def _unwrap(self, data: bytes) -> bytes:
        if data[:1] != b"\xc1":
            return data
        head, body = data[1:2], data[2:]
        if not head or (version := head[0] & ~_SEALED) > VERSION:
            raise Unreadable("a record in Redis was written by a newer version of this program")
        if version < VERSION:
            raise Unreadable("a record in Redis was written by no version of this program")
        if not head[0] & _SEALED:
            return body
        if self._keyring is None:
            raise Unreadable("a record in Redis is encrypted: set redis.encryption_keys")
        try:
            return self._keyring.open(body)
        except CannotOpen as exc:
            raise Unreadable(f"a record in Redis cannot be decrypted: {exc}") from None


def forgotten(number: int, like: Turn | None) -> Turn:
    """What stands in memory in place of a turn that was forgotten: numbers follow one another."""
    return Turn(number=number, role="user" if like is None else like.role, text="")


def is_older(data: bytes) -> bool:
    """Whether an earlier version of this program has written this."""
    return data[:1] != _HEAD[:1]


def is_forgotten(turn: Turn) -> bool:
    return not turn.text and not turn.event


def decode_pause(data: bytes) -> tuple[str, float]:
    """A bot and for how many seconds it must be silent. Raises `Unreadable`."""
    try:
        return _pauses.decode(data)
    except msgspec.MsgspecError:
        raise Unreadable("a pause was not written by this version") from None


def _bare(record: Any) -> Any:
    if isinstance(record, Event | Turn):
        values = ((name, getattr(record, name), default) for name, default in _FIELDS[type(record)])
        return {name: value for name, value, default in values if value != default}
    return record
