"""The words that cross the seam between the core and the adapters. Standard library only.

An adapter makes an `Event` of what a person did and hands it to the `Inbox`. Later a worker, perhaps in another
process, hands the same event back to the adapter's `deliver` together with a `Reply`. Nothing else crosses.
"""

import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Literal, Protocol, get_args

Action = Literal["stop", "regenerate", "continue", "previous", "next", "up", "down"]
"""What a person may do with an answer: end it, have it made anew, have it gone on with, look at the version before
or after it, and like it or not."""

WhenBusy = Literal["queue", "interrupt", "collect"]
"""What a message does while another one of its conversation is answered: it waits, or it ends that answer, or it
waits and is answered together with whatever else of its speaker waits then."""

Kind = Literal["message", "reset", "persona", "stop", "start", "help", "edit", "act", "vote", "delete", "setting"]
"""What a person did. `message`, `reset`, `persona` (set it to `text`; an empty text means the default one), `edit`
(the message `target` now reads `text`) and `act` (`text` is the `Action` on the answer that stands in the message
`target`) change the conversation and keep its order. The others do not, and are handled at once: `stop`, `start`,
`help`, `vote` ("up" or "down" is the `text`, for the answer in `target`), `delete` (the message `target` was
taken away; nobody is answered) and `setting` (`text` is its name and, after a space, what it is to be for the
place; without that it is as the operator has it). Who may set something is the adapter's to say."""

ACTIONS: Mapping[str, Action] = {action: action for action in get_args(Action)}
"""Every action by its name."""


def kind_of(action: Action) -> Kind:
    """What an event is in which somebody presses that."""
    match action:
        case "stop":
            return "stop"
        case "up" | "down":
            return "vote"
        case _:
            return "act"


Role = Literal["user", "assistant"]

Cut = Literal["", "length", "time", "stopped", "shutdown", "failed"]
"""Why an answer ended early; empty: it did not."""


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

    def __str__(self) -> str:
        return f"{self.place}/{self.thread}" if self.thread else self.place


@dataclass(frozen=True, slots=True)
class Speaker:
    """Who wrote something: the platform's id for the person, and the name that people see."""

    id: str
    name: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class Quote:
    """What somebody said, to which a message refers."""

    speaker: Speaker
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Attachment:
    """Something that came with a message and can be fetched.

    `kind` is one of those in `Event.files`. `name`, `size` (bytes; 0: not told) and `type` (a media type) are what
    the platform says of it, or the sender: none of them need be true. `address` is a small flat mapping that only
    the adapter reads, and that is never logged.
    """

    kind: str
    name: str = field(default="", repr=False)
    size: int = 0
    type: str = ""
    address: Mapping[str, str] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class Document:
    """What was read of a file that came with a message, as a model is shown it."""

    name: str = field(repr=False)
    text: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One thing that a person did, as an adapter understood it.

    `id` is the same each time the platform delivers the same thing and different for everything else. It begins
    with platform and bot account and names room, message and, for anything but a first message, what was done
    and its version: an edit or a button is not a redelivery. `message` is the platform's own id of the message,
    `target` that of another one, which it is about, `at` its time in seconds since the epoch. `files` names the
    kinds of what came with the text ("image", "voice", "file"), and `attachments` are those of them that can be
    fetched. `server` is the platform's id of what the room belongs to (a Discord server, a Slack workspace); empty
    where there is no such thing. `trace` is the W3C traceparent under which the event came in; empty where nobody
    traces.

    `also` are the ids of further messages of the speaker that are answered together with this one. `alone`:
    whoever sent it waits for the answer to it, so that it is never answered together with others.

    `shared`: several people talk in the room, so that it matters who does. `quotes` is what the message refers to
    and the conversation may not have: the message that it replies to, or what was said in a thread before the bot
    was called into it, oldest first.

    `locale` is the person's, or else the server's, as the platform writes it ("de", "es-419"); empty: unknown.
    """

    id: str
    kind: Kind = "message"
    room: Room
    conversation: Conversation
    speaker: Speaker
    text: str = field(default="", repr=False)
    message: str = ""
    target: str = ""
    files: tuple[str, ...] = ()
    at: float = 0.0
    server: str = ""
    trace: str = field(default="", repr=False)
    also: tuple[str, ...] = ()
    alone: bool = False
    shared: bool = False
    quotes: tuple[Quote, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    locale: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An answer as it was written once: see `Turn`."""

    text: str = field(repr=False)
    count: int = 0
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    tokenizer: str = ""
    cut: Cut = ""
    votes: tuple[tuple[str, int], ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of a conversation, as memory holds it.

    `number` counts up by one within the conversation. `count` is the length of `text` in tokens and `token_ids`
    are the tokens that a model made, both by the tokenizer with the fingerprint `tokenizer`. `cut` says why an
    answer ended early. `event` is the event that the turn came from or answers.

    `shared` and `quotes` are those of the event, and `documents` what was read of its files. `messages` are the
    platform's ids of the messages in which it stands. `versions` are the other answers that were made in this
    place, in their order, and `version` is how many of them came before this one. `votes` are who liked it (1) and
    who did not (-1), by their ids.
    """

    number: int
    role: Role
    text: str = field(repr=False)
    speaker: Speaker | None = None
    event: str = ""
    at: float = 0.0
    count: int = 0
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    tokenizer: str = ""
    cut: Cut = ""
    shared: bool = False
    quotes: tuple[Quote, ...] = ()
    documents: tuple[Document, ...] = ()
    messages: tuple[str, ...] = ()
    versions: tuple[Version, ...] = ()
    version: int = 0
    votes: tuple[tuple[str, int], ...] = ()


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
    waits for; it is recorded as no text at all.
    """

    text: str = field(repr=False)
    final: bool = False
    controls: tuple[Control, ...] = ()
    private: bool = False
    pending: bool = False


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


@dataclass(frozen=True, slots=True)
class Shown:
    """What a reply's part number `part` was last recorded to show; `event` is what is being answered."""

    event: str
    part: int
    text: str = field(repr=False)
    final: bool


class Inbox(Protocol):
    """What an adapter is given."""

    async def accept(self, event: Event) -> bool:
        """Take an event. False: it was seen before. The event is durable when this returns.

        Raises `StoreUnavailable` (ask the platform to deliver it again) and `Overloaded` (the conversation's
        mailbox is full; tell the person).
        """
        ...

    def watch(self, conversation: Conversation) -> AbstractAsyncContextManager[AsyncIterator[Shown]]:
        """What `showing` records in this conversation: the latest first, if one is under way, then each change,
        from any process. Changes that nobody waited for are skipped.

        Iterating raises `StoreUnavailable` when the end of a reply was missed: `turns` has it.
        """
        ...

    async def turns(self, conversation: Conversation, last: int) -> list[Turn]:
        """The last `last` turns of the conversation, oldest first, with the messages that wait for an answer at
        the end (their `number` is 0)."""
        ...

    async def get(self, key: str) -> bytes | None:
        """A small durable value that only the adapter understands."""
        ...

    async def set(self, key: str, value: bytes, *, expires: timedelta) -> None: ...


class Fleet(Protocol):
    """What the workers of one installation tell one another about a bot's budget on its platform."""

    @property
    def workers(self) -> int:
        """How many workers are alive, this one included: each takes its share of a bot-wide budget."""
        ...

    async def pause(self, bot: str, seconds: float) -> None:
        """The platform told us to be silent with this bot for so long; tell every worker."""
        ...

    def paused_until(self, bot: str) -> float:
        """The event loop's time until which this bot must be silent. In the past when it need not."""
        ...


def key_of(conversation: Conversation, event_id: str, part: int) -> str:
    """`Reply.key` for every implementation: from what outlives a takeover, and nothing else."""
    digest = hashlib.blake2b(f"{conversation}\0{event_id}\0{part}".encode(), digest_size=12)
    return digest.hexdigest()
