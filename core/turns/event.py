"""What a person did."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal, get_args

from core.turns.room import Conversation, Room, Speaker

Action = Literal["stop", "regenerate", "continue", "previous", "next", "up", "down"]
"""What a person may do with an answer: end it, have it made anew, have it gone on with, look at the version before
or after it, and like it or not."""

WhenBusy = Literal["queue", "interrupt", "collect"]
"""What a message does while another one of its conversation is answered: it waits, or it ends that answer, or it
waits and is answered together with whatever else of its speaker waits then."""

Kind = Literal[
    "message",
    "reset",
    "persona",
    "undo",
    "edit",
    "act",
    "show",
    "stop",
    "start",
    "help",
    "vote",
    "delete",
    "setting",
    "command",
    "refused",
]
"""What a person did.

These change the conversation and keep its order: `message`; `reset`; `persona` (set it to `text`; an empty text
means the default one); `undo` (the last message and its answer are taken back); `edit` (the message `target` now
reads `text`: it is answered anew, and the conversation goes on from there); `act` (`text` is the `Action` on the
answer that stands in the message `target`, or on the last one where there is no target); `show` (no person did
that: the answer that stands in the message `target` is shown there again, as memory has it).

The others do not, and are handled at once: `stop`; `start`; `help` (`text` is what is written before the name of
a command in the room; empty: "/"; and on its next line a marked sentence on what is not to be had there); `vote`
("up" or "down" is the `text`, for the answer in `target`); `delete` (the message `target` was taken away; nobody
is answered); `setting` (`text` is its name and, after a space, what it is to be for the place; without that it is
as the operator has it); `command` (`text` is the name of another one, and after a space what was written behind
it); `refused` (anything else that was not let in, see `core.guard`: `text` is for how many seconds; empty: for
good)."""

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
    the adapter reads, and that is never logged. `speaker` is the id of whoever sent it, where that is another one
    than who speaks.
    """

    kind: str
    name: str = field(default="", repr=False)
    size: int = 0
    type: str = ""
    address: Mapping[str, str] = field(default_factory=dict, repr=False)
    speaker: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sampling:
    """How somebody wants an answer to be sampled. `None`: as the operator has it; never longer than that."""

    temperature: float | None = None
    top_p: float | None = None
    max_tokens: int | None = None


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
    whoever sent it waits for the answer to it, so that it is never answered together with others. `more_within`:
    it may be a piece only of what the speaker sent, because the platform cut that up. It is not answered for so
    many seconds, and the speaker's next message, if it is there by then, belongs to it.

    `shared`: several people talk in the room, so that it matters who does. `called`: the event was meant for the
    bot by itself, and not only by standing in a thread that the bot is part of. `manages`: whoever made it may set
    what holds for everyone in the place, by the platform's own roles; `roles` are those that the server gave them,
    by their ids. `quotes` is what the message refers to and the conversation may not have: the message that it
    replies to, or what was said in a thread before the bot was called into it, oldest first.

    `home` is the platform's own conversation in which it was said, where memory has made that part of another one.

    `locale` is the person's, or else the server's, as the platform writes it ("de", "es-419"); empty: unknown.
    `sampling` is for the answer to this event alone.
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
    home: Conversation | None = None
    trace: str = field(default="", repr=False)
    also: tuple[str, ...] = ()
    alone: bool = False
    more_within: float = 0.0
    shared: bool = False
    called: bool = True
    manages: bool = False
    roles: tuple[str, ...] = ()
    quotes: tuple[Quote, ...] = ()
    attachments: tuple[Attachment, ...] = ()
    locale: str = ""
    sampling: Sampling = Sampling()

    @property
    def said_in(self) -> Conversation:
        """The platform's own conversation in which it was said."""
        return self.home or self.conversation
