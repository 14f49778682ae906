"""What a browser sent, as an `Event`. Pure: no socket in sight."""

from adapters.recording import typed
from adapters.web.frames import Say, Stop
from core.turns import Conversation, Event, Kind, Room, Speaker

PLATFORM = "web"
BOT = "local"


def conversation_of(chat: str) -> Conversation:
    return Conversation.of(_room(chat), chat)


def to_event(frame: Say | Stop, chat: str, *, at: float, locale: str = "") -> Event:
    """`chat` names the browser's conversation."""
    kind: Kind
    kind, text = ("stop", "") if isinstance(frame, Stop) else typed(frame.text)
    stem = f"{_stem(chat)}{frame.id}"
    return Event(
        id=stem if kind == "message" else f"{stem}/{kind}",
        kind=kind,
        room=_room(chat),
        conversation=conversation_of(chat),
        speaker=Speaker(id=chat, name="You"),
        text=text,
        message=frame.id,
        alone=True,
        at=at,
        locale=locale,
    )


def key_of_event(event_id: str, chat: str) -> str:
    """What the browser knows the event by: the id that it made, and the kind unless that is "message"."""
    return event_id.removeprefix(_stem(chat))


def _stem(chat: str) -> str:
    return f"{PLATFORM}/{BOT}/{chat}/"


def _room(chat: str) -> Room:
    return Room(PLATFORM, BOT, {"chat": chat})
