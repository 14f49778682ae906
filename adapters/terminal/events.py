"""What was typed, as an `Event`. Pure: no terminal in sight.

There is one conversation for each data folder, whoever types: the folder is the person's own.
"""

from adapters.recording import typed
from adapters.terminal.words import LACKS
from core.turns import Conversation, Event, Room, Speaker

PLATFORM = "terminal"
ROOM = Room(PLATFORM, "local", {})
CONVERSATION = Conversation.of(ROOM, "chat")

_LEAVE = "/quit"


def to_event(text: str, *, message: str, at: float, locale: str = "") -> Event | None:
    """`message` is a new id, `locale` the terminal's. `None`: the person leaves."""
    if text.strip().lower() == _LEAVE:
        return None
    kind, rest = typed(text)
    if kind == "help":
        rest = f"/\n{LACKS}"
    return Event(
        id=f"{CONVERSATION}/{message}" + ("" if kind == "message" else f"/{kind}"),
        kind=kind,
        room=ROOM,
        conversation=CONVERSATION,
        speaker=Speaker(id="local"),
        text=rest,
        message=message,
        alone=True,
        manages=True,
        at=at,
        locale=locale,
    )
