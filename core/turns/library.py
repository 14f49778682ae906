"""The list of a place's conversations, where a place has one."""

from dataclasses import dataclass, field
from typing import Literal

from core.turns.room import Conversation


@dataclass(frozen=True, slots=True)
class Listed:
    """A conversation in the list of its place, where a place has one. Somebody spoke in it last `at`, in seconds
    since the epoch. `excerpt` is what a search has found in it; empty where the title says it."""

    conversation: Conversation
    title: str = field(repr=False)
    at: float
    excerpt: str = field(default="", repr=False)


@dataclass(frozen=True, slots=True)
class News:
    """Something that whoever shows the list of a place's conversations may want to know at once.

    "listed": what the list says of the conversation is another thing than before; "gone": it was forgotten;
    "answered": a reply in it has come to its end; "waiting": the reply to `event` waits for something, as the
    sentence `text` of ours says.
    """

    conversation: Conversation
    what: Literal["listed", "gone", "answered", "waiting"]
    event: str = ""
    text: str = ""
