"""What was typed, as an `Event`. Pure: no terminal in sight.

There is one conversation for each data folder, whoever types: the folder is the person's own.
"""

import re
from typing import get_args

from core.turns import Conversation, Event, Kind, Room, Speaker

PLATFORM = "terminal"
ROOM = Room(PLATFORM, "local", {})
CONVERSATION = Conversation.of(ROOM, "chat")

HELP = """\
- `/help` shows this
- `/reset` makes me forget this conversation
- `/persona` followed by a text tells me who to be; alone it brings back my usual self
- `/stop` or Ctrl-C ends the answer that I am writing
- `/quit` or Ctrl-D leaves"""

_COMMAND = re.compile(r"\s*/(help|start|reset|persona|stop|quit)(?:\s+(.*?))?\s*", re.DOTALL | re.IGNORECASE)
_KINDS: dict[str, Kind] = {kind: kind for kind in get_args(Kind)}


def command(text: str) -> tuple[str, str]:
    """The kind of event that a line is, or "quit", and its text. A command that takes none stands alone."""
    match = _COMMAND.fullmatch(text)
    if match is None or (match[2] and match[1].lower() != "persona"):
        return "message", text
    return match[1].lower(), match[2] or ""


def to_event(text: str, *, message: str, at: float) -> Event | None:
    """`message` is a new id. `None`: the line is for the terminal itself."""
    name, rest = command(text)
    if name not in _KINDS:
        return None
    kind = _KINDS[name]
    return Event(
        id=f"{CONVERSATION}/{message}" + ("" if kind == "message" else f"/{kind}"),
        kind=kind,
        room=ROOM,
        conversation=CONVERSATION,
        speaker=Speaker(id="local"),
        text=HELP if kind == "help" else rest,
        message=message,
        at=at,
    )
