"""What was typed, as an `Event`. Pure: no terminal in sight.

There is one conversation for each data folder, whoever types: the folder is the person's own.
"""

from adapters.recording import typed
from core.languages import msgid
from core.turns import Conversation, Event, Room, Speaker

PLATFORM = "terminal"
ROOM = Room(PLATFORM, "local", {})
CONVERSATION = Conversation.of(ROOM, "chat")

HELP = msgid("""\
- `/help` shows this
- `/reset` makes me forget this conversation
- `/persona` followed by a text tells me who to be; alone it brings back my usual self
- `/stop` or Ctrl-C ends the answer that I am writing
- `/quit` or Ctrl-D leaves""")

_LEAVE = "/quit"


def to_event(text: str, *, message: str, at: float) -> Event | None:
    """`message` is a new id. `None`: the person leaves."""
    if text.strip().lower() == _LEAVE:
        return None
    kind, rest = typed(text)
    return Event(
        id=f"{CONVERSATION}/{message}" + ("" if kind == "message" else f"/{kind}"),
        kind=kind,
        room=ROOM,
        conversation=CONVERSATION,
        speaker=Speaker(id="local"),
        text=HELP if kind == "help" else rest,
        message=message,
        alone=True,
        at=at,
    )
