"""The words between the page and the server, as JSON in WebSocket text messages. Knows no socket.

The browser makes the id of what it sends, so that sending it again after a lost connection changes nothing. A
`key` is that id, followed by the kind for anything but a message ("…/reset"); it names the exchange on the page.
"""

from collections.abc import Sequence
from typing import Annotated, Literal

import msgspec

from core.turns import Action

CLIENT_ID = r"^[A-Za-z0-9-]{8,64}\Z"

ClientId = Annotated[str, msgspec.Meta(pattern=CLIENT_ID)]
ChatId = Annotated[str, msgspec.Meta(pattern=rf"{CLIENT_ID}|^\Z")]
Words = Annotated[str, msgspec.Meta(max_length=500)]


class _FromBrowser(msgspec.Struct, frozen=True, forbid_unknown_fields=True, tag=str.lower):
    def __repr__(self) -> str:
        return f"{type(self).__name__}()"  # the rest are a person's words


class File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A file that was uploaded under this id; what it is called and of which type it is, as the browser says."""

    id: ClientId
    name: Annotated[str, msgspec.Meta(max_length=255)]
    type: Annotated[str, msgspec.Meta(max_length=100)] = ""

    def __repr__(self) -> str:
        return f"File(id={self.id!r})"


class Sampling(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How the person wants the answer to be sampled; what is not said is as the bot is set."""

    temperature: Annotated[float, msgspec.Meta(ge=0, le=2)] | None = None
    top_p: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    max_tokens: Annotated[int, msgspec.Meta(ge=1, le=1_000_000)] | None = None


AS_SET = Sampling()


class Say(_FromBrowser, frozen=True):
    """The person has sent `text`, which may be a command, with `files`. Answered by `Taken` or `Refused`, as is
    all that has an id."""

    id: ClientId
    text: str
    files: Annotated[list[File], msgspec.Meta(max_length=10)] = []
    sampling: Sampling = AS_SET


class Edit(_FromBrowser, frozen=True):
    """The message `on` is to read `text`."""

    id: ClientId
    on: ClientId
    text: str
    sampling: Sampling = AS_SET


class Stop(_FromBrowser, frozen=True):
    """The person wants the answer under way to end."""

    id: ClientId


class Act(_FromBrowser, frozen=True):
    """The person presses that under the answer to `on`."""

    id: ClientId
    on: ClientId
    action: Action
    sampling: Sampling = AS_SET


class Find(_FromBrowser, frozen=True):
    """The person looks for conversations with these words; without any, for all. Answered by `Chats`."""

    text: Words


class Rename(_FromBrowser, frozen=True):
    """The conversation is to be called so. Answered by `Chats`, as is `Forget`."""

    chat: ChatId
    title: Words


class Forget(_FromBrowser, frozen=True):
    """The conversation is to be deleted."""

    chat: ChatId


class Ping(_FromBrowser, frozen=True):
    """Is anybody there? Answered by `Pong`."""


FromBrowser = Say | Edit | Stop | Act | Find | Rename | Forget | Ping


class Button(msgspec.Struct, frozen=True):
    """Something to press under an answer; without an `action` it only says something."""

    action: Action | None
    label: str


class Foot(msgspec.Struct, frozen=True):
    """What stands under a whole answer: its buttons, the person's vote, and what it took, in words."""

    buttons: Sequence[Button]
    vote: int = 0
    cost: str = ""


class Line(msgspec.Struct, frozen=True):
    """One turn of the history: the person's `text` and the names of the `files` with it, or the bot's `blocks` of
    safe HTML and their `foot`."""

    key: str
    role: Literal["user", "assistant"]
    text: str = ""
    files: Sequence[str] = ()
    blocks: Sequence[str] = ()
    foot: Foot | None = None
    waiting: bool = False


class History(msgspec.Struct, frozen=True, tag="history"):
    """What the conversation `chat` holds, oldest first. Those that wait for an answer come last. `limit` is the
    most characters that a message may have, and `file_limit` the most bytes of a file; 0: none are taken.
    `persona` is who the bot is to be; empty: its usual self. `only`: what was said besides is forgotten. `version`
    is that of the page as it is served now."""

    chat: str
    lines: list[Line]
    limit: int
    file_limit: int = 0
    persona: str = ""
    only: bool = False
    version: str = ""


class Listing(msgspec.Struct, frozen=True):
    """One conversation in the list; `excerpt` is where a search has found something in it."""

    chat: str
    title: str
    at: float
    excerpt: str = ""


class Chats(msgspec.Struct, frozen=True, tag="chats"):
    """The conversations with the words `text`, the newest first."""

    text: str
    items: list[Listing]


class Tidings(msgspec.Struct, frozen=True, tag="news"):
    """Something happened in the conversation `chat`, which another page may show: a reply has come to its end, all
    that was said is forgotten, or the answer in the exchange `key` waits for what `text` says."""

    chat: str
    what: Literal["answered", "gone", "waiting"]
    key: str = ""
    text: str = ""


class Taken(msgspec.Struct, frozen=True, tag="taken"):
    """What was sent under `id` is durable."""

    id: str
    key: str


class Refused(msgspec.Struct, frozen=True, tag="refused"):
    """What was sent under `id` was not taken. `text` says why, to the person."""

    id: str
    text: str


class Drawn(msgspec.Struct, frozen=True, tag="drawn"):
    """The answer in the exchange `key` now is: the first `keep` blocks that it had, then `blocks`."""

    key: str
    keep: int
    blocks: list[str]
    final: bool
    foot: Foot | None = None


class Told(msgspec.Struct, frozen=True, tag="told"):
    """A word to the person about what was pressed; it stands in no conversation. `undone` is the exchange with
    which nothing was done after all."""

    text: str
    undone: str = ""


class Pong(msgspec.Struct, frozen=True, tag="pong"):
    """Somebody is."""


class Trouble(msgspec.Struct, frozen=True, tag="trouble"):
    """Something that concerns the whole page; `text` is for the person."""

    text: str


class Locked(msgspec.Struct, frozen=True, tag="locked"):
    """The page is not for whoever has no key; `text` says so."""

    text: str


ToBrowser = History | Chats | Tidings | Taken | Refused | Drawn | Told | Pong | Trouble | Locked

_decoder = msgspec.json.Decoder(FromBrowser)
_encoder = msgspec.json.Encoder()


def decode(data: str | bytes) -> FromBrowser:
    """Raises `msgspec.DecodeError`, also for JSON of another shape."""
    frame: FromBrowser = _decoder.decode(data)
    return frame


def encode(frame: ToBrowser) -> str:
    return _encoder.encode(frame).decode()
