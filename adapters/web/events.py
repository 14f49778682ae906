"""What a browser sent, as an `Event`. Pure: no socket in sight."""

import re
from typing import get_args

from adapters.web.frames import Say, Stop
from core.turns import Conversation, Event, Kind, Room, Speaker

PLATFORM = "web"
BOT = "local"

_COMMAND = re.compile(r"\s*/(help|start|reset|persona|stop)(?:\s+(.*?))?\s*", re.DOTALL | re.IGNORECASE)
_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}


def conversation_of(chat: str) -> Conversation:
    return Conversation.of(_room(chat), chat)


def to_event(frame: Say | Stop, chat: str, *, at: float) -> Event:
    """`chat` names the browser's conversation. A command that takes no text is one only when it stands alone."""
    kind, text = ("stop", "") if isinstance(frame, Stop) else understood(frame.text)
    stem = f"{_stem(chat)}{frame.id}"
    return Event(
        id=stem if kind == "message" else f"{stem}/{kind}",
        kind=_KINDS[kind],
        room=_room(chat),
        conversation=conversation_of(chat),
        speaker=Speaker(id=chat, name="You"),
        text=text,
        message=frame.id,
        at=at,
    )


def understood(text: str) -> tuple[str, str]:
    """Kind and text of what was typed into the box."""
    match = _COMMAND.fullmatch(text)
    if match is None:
        return "message", text
    kind, rest = match[1].lower(), match[2] or ""
    if rest and kind != "persona":
        return "message", text
    return kind, rest


def key_of_event(event_id: str, chat: str) -> str:
    """What the browser knows the event by: the id that it made, and the kind unless that is "message"."""
    return event_id.removeprefix(_stem(chat))


def _stem(chat: str) -> str:
    return f"{PLATFORM}/{BOT}/{chat}/"


def _room(chat: str) -> Room:
    return Room(PLATFORM, BOT, {"chat": chat})
