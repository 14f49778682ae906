"""What a browser sent, as an `Event`. Pure: no socket in sight.

The id of an event is the browser's own id for what it sent; for anything but a message the kind follows, and then
the message that it is about. What of that follows the conversation is the `key` by which the page knows it.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import msgspec

from adapters.recording import typed
from adapters.web.frames import Act, Edit, Say, Stop
from core.turns import Attachment, Conversation, Event, Kind, Room, Sampling, Speaker, key_of, kind_of

PLATFORM = "web"
BOT = "local"


@dataclass(frozen=True, slots=True)
class Chat:
    """One of an owner's conversations. `id` was made by a browser; the first one may have none."""

    owner: str
    id: str = ""

    @property
    def conversation(self) -> Conversation:
        return Conversation.of(self.room, self.owner, self.id)

    @property
    def room(self) -> Room:
        return Room(PLATFORM, BOT, {"chat": self.owner, "thread": self.id})

    @property
    def stem(self) -> str:
        """What the ids of all its events begin with."""
        return f"{PLATFORM}/{BOT}/{self.owner}/{self.id}/" if self.id else f"{PLATFORM}/{BOT}/{self.owner}/"

    def answer_to(self, message: str) -> str:
        """The id of the message in which the answer to `message` stands: as `record` has it."""
        return key_of(self.conversation, f"{self.stem}{message}", 0)


def to_event(
    frame: Say | Stop | Act | Edit,
    chat: Chat,
    *,
    at: float,
    locale: str = "",
    attachments: Sequence[Attachment] = (),
) -> Event:
    """`attachments` are what a message brings."""
    kind, text, on = _meant(frame)
    target = chat.answer_to(on) if isinstance(frame, Act) else on
    ending = "" if kind == "message" else f"/{kind}/{on}" if on else f"/{kind}"
    return Event(
        id=f"{chat.stem}{frame.id}{ending}",
        kind=kind,
        room=chat.room,
        conversation=chat.conversation,
        speaker=Speaker(id=chat.owner, name="You"),
        text=text,
        message=frame.id,
        target=target,
        alone=True,
        manages=True,
        at=at,
        locale=locale,
        files=tuple(dict.fromkeys(each.kind for each in attachments)),
        attachments=tuple(attachments),
        sampling=Sampling() if isinstance(frame, Stop) else Sampling(**msgspec.structs.asdict(frame.sampling)),
    )


def key_of_event(event_id: str, chat: Chat) -> str:
    """What the page knows the event by."""
    return event_id.removeprefix(chat.stem)


def exchange_of(key: str) -> str:
    """The exchange on the page that the event draws: that of the message that it is about, or its own."""
    _, _, on = key.partition("/")
    return on.partition("/")[2] or key


def kind_of_key(key: str) -> str:
    """The event's kind."""
    return key.split("/")[1] if "/" in key else "message"


def _meant(frame: Say | Stop | Act | Edit) -> tuple[Kind, str, str]:
    """Kind, text, and the message that it is about."""
    match frame:
        case Say(text=text):
            return *typed(text), ""
        case Stop():
            return "stop", "", ""
        case Edit(on=on, text=text):
            return "edit", text, on
        case Act(on=on, action=action):
            kind = kind_of(action)
            return kind, "" if kind == "stop" else action, on
