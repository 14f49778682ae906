"""Who shares memory: the policy that makes one conversation of several rooms, or several of one. Pure.

What a place is set to holds for what is said from then on. Nothing is moved or lost: who sets it back finds the
conversations of before. So it is with accounts that are joined: then one person's private chats are one
conversation, and so are the rooms where each person has one, on whatever platforms they are.
"""

from dataclasses import replace
from typing import Literal

from core.turns import Conversation, Event

Scope = Literal["thread", "channel", "person", "server"]
"""`thread`: each thread or topic is a conversation of its own, as platforms have it. `channel`: a place with all
its threads is one. `person`: each person has one with the bot in the place. `server`: all places of a Discord
server or a Slack workspace are one."""


PEOPLE = "people"
"""In place of a platform in the names of conversations that are on several."""

_PERSON = "@"  # no platform's thread begins with it


def is_one_persons(conversation: Conversation) -> bool:
    """Whether all who speak in it are accounts of one person."""
    return conversation.platform == PEOPLE


def persons(place: str, person: str) -> Conversation:
    """The conversation that `person` has in a place where each has one of their own."""
    return Conversation(place, f"{_PERSON}{person}")


def belongs_to_one(conversation: Conversation) -> bool:
    """Whether it is one person's in rooms of several, or on several platforms: who knows only the room does not
    know it."""
    return is_one_persons(conversation) or conversation.thread.startswith(_PERSON)


def scoped(event: Event, scope: Scope, link: str = "") -> Event:
    """`event` in the conversation that it belongs to. Where one person talks to the bot alone, that is as it is,
    unless the account has a `link`."""
    here = event.conversation
    if link and (scope == "person" or not event.shared):
        # What was said in private does not come up in a room.
        conversation = Conversation(f"{PEOPLE}/{link}/{'rooms' if event.shared else 'private'}")
        # Not the server's: most of it may have been said elsewhere.
        return replace(event, conversation=conversation, home=here, server="")
    if not event.shared:
        return event
    match scope:
        case "channel":
            conversation = Conversation(here.place)
        case "person":
            conversation = persons(here.place, event.speaker.id)
        case "server" if event.server:
            platform, bot, _ = here.place.split("/", 2)
            conversation = Conversation(f"{platform}/{bot}/server:{event.server}")
        case _:
            return event
    return replace(event, conversation=conversation, home=here)
