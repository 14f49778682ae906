"""Events and turns for tests of the store."""

import itertools

from core.turns import Conversation, Event, Kind, Room, Speaker, Turn

ROOM = Room("web", "bot1", {"channel": 7})
CONVERSATION = Conversation.of(ROOM, 7)
_numbers = itertools.count(1)


def an_event(
    text: str = "hello",
    *,
    kind: Kind = "message",
    conversation: Conversation = CONVERSATION,
    room: Room = ROOM,
    id: str | None = None,  # noqa: A002 - the event's own word
) -> Event:
    """A new event; each has an id of its own unless one is given."""
    return Event(
        id=id or f"{room.platform}/{room.bot}/{next(_numbers)}",
        kind=kind,
        room=room,
        conversation=conversation,
        speaker=Speaker("p1", "Ann"),
        text=text,
        at=1_700_000_000.5,
    )


def two_turns(event: Event, answer: str, *, last: int) -> list[Turn]:
    """What a worker remembers of `event` and its answer, after turn number `last`."""
    asked = Turn(number=last + 1, role="user", text=event.text, speaker=event.speaker, event=event.id, count=3)
    return [asked, Turn(number=last + 2, role="assistant", text=answer, event=event.id, token_ids=(1, 2, 300))]
