"""The words between the page and the server, as JSON in WebSocket text messages. Knows no socket.

The browser makes the id of what it sends, so that sending it again after a lost connection changes nothing. A
`key` is that id, followed by the kind for anything but a message ("…/reset"); it names the exchange on the page.
"""

from typing import Annotated, Literal

import msgspec

ClientId = Annotated[str, msgspec.Meta(pattern=r"^[A-Za-z0-9-]{8,64}$")]


class Say(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="say"):
    """The person has sent `text`, which may be a command. Answered by `Taken` or `Refused`."""

    id: ClientId
    text: str

    def __repr__(self) -> str:
        return f"Say(id={self.id!r})"


class Stop(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag="stop"):
    """The person wants the answer under way to end. Answered by `Taken` or `Refused`."""

    id: ClientId


class Line(msgspec.Struct, frozen=True):
    """One turn of the history: the person's `text`, or the bot's `blocks` of safe HTML."""

    key: str
    role: Literal["user", "assistant"]
    text: str = ""
    blocks: list[str] = []
    waiting: bool = False


class History(msgspec.Struct, frozen=True, tag="history"):
    """What the conversation holds, oldest first. Those that wait for an answer come last. `limit` is the most
    characters that a message may have."""

    lines: list[Line]
    limit: int


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """What was sent under `id` is durable."""

    id: str
    key: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """What was sent under `id` was not taken. `text` says why, to the person."""

    id: str
    text: str


class Drawn(msgspec.Struct, frozen=True, tag="drawn"):
    """The answer to `key` now is: the first `keep` blocks that it had, then `blocks`."""

    key: str
    keep: int
    blocks: list[str]
    final: bool


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """Something that concerns the whole page; `text` is for the person."""

    text: str


ToBrowser = History | Taken | Refused | Drawn | Trouble

_decoder = msgspec.json.Decoder(Say | Stop)
_encoder = msgspec.json.Encoder()


def decode(data: str | bytes) -> Say | Stop:
    """Raises `msgspec.DecodeError`, also for JSON of another shape."""
    frame: Say | Stop = _decoder.decode(data)
    return frame


def encode(frame: ToBrowser) -> str:
    return _encoder.encode(frame).decode()
