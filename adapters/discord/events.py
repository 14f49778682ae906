"""What Discord's gateway tells into an `Event`, or None: not for us. Pure: without a client.

For us is every direct message of a person; in a server what is addressed to the bot by a mention, by its own role
or by a reply to it; and in a thread that the bot is part of, every message. What the payload does not say (who is
called what, who is part of a thread) comes with it as a `Place`.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import discord  # noqa: TID251

from adapters.discord.buttons import pressed
from adapters.discord.files import attachments, files
from core.commands import ABOUT_THIS, find
from core.languages import translated
from core.turns import Conversation, Event, Kind, Quote, Room, Speaker, kind_of

Payload = Mapping[str, Any]


TOKEN_SECONDS = 15 * 60.0
"""For how long an interaction's token is good: https://discord.com/developers/docs/interactions/receiving-and-responding"""

_BEGINS_THREAD = discord.MessageType.thread_starter_message.value
_WORDS = {discord.MessageType.default.value, discord.MessageType.reply.value}
_THREADS = {
    discord.ChannelType.news_thread.value,
    discord.ChannelType.public_thread.value,
    discord.ChannelType.private_thread.value,
}
_APPLICATION_COMMAND = discord.InteractionType.application_command.value
_AUTOCOMPLETE = discord.InteractionType.autocomplete.value
COMPONENT = discord.InteractionType.component.value
_MESSAGE_COMMAND = discord.AppCommandType.message.value
_MANAGES = discord.Permissions(administrator=True, manage_guild=True, manage_channels=True).value

_MENTION = re.compile(
    r"<@!?(?P<user>\d+)>|<@&(?P<role>\d+)>|<#(?P<channel>\d+)>|<a?:(?P<emoji>\w+):\d+>|</(?P<command>[^:>]+):\d+>"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """Where a message was written, as far as its payload does not say so.

    `thread`: it is a thread of the channel `parent`. `ours`: the bot is a member of that thread. `roles` are the
    bot's own roles in the server; `names` are the names of roles and channels by their ids; `locale` is the
    server's, which a message does not tell of its writer.
    """

    thread: bool = False
    parent: str = ""
    ours: bool = False
    roles: frozenset[str] = frozenset()
    names: Mapping[str, str] = field(default_factory=dict, repr=False)
    locale: str = ""


def is_thread(kind: object) -> bool:
    """Whether a channel of Discord's type `kind` is a thread."""
    return kind in _THREADS


def to_event(payload: Payload, me: str, place: Place) -> Event | None:
    """The event of a MESSAGE_CREATE for the bot account `me`.

    Raises KeyError, TypeError or ValueError for a payload that is none.
    """
    author = payload["author"]
    if payload["type"] not in _WORDS or author.get("bot") or author.get("system") or payload.get("webhook_id"):
        return None
    direct = payload.get("guild_id") is None
    asked = direct or _addressed(payload, me, place)
    text, kinds = _text(payload, me, place), files(payload)
    # Without the message content intent Discord blanks what does not mention us; there is nothing to answer then.
    if not asked and not (place.thread and place.ours and (text or kinds)):
        return None
    channel, message = str(payload["channel_id"]), str(payload["id"])
    room = Room("discord", me, {"channel": channel, "reply_to": None if direct else message})
    return Event(
        id=f"discord/{me}/{channel}/{message}",
        room=room,
        conversation=_conversation(room, channel, place.parent if place.thread else ""),
        speaker=Speaker(str(author["id"]), _name(author, payload.get("member"))),
        text=text,
        message=message,
        files=kinds,
        at=discord.utils.snowflake_time(int(message)).timestamp(),
        server=str(payload.get("guild_id") or ""),
        shared=not direct,
        called=asked,
        roles=_roles(payload.get("member")),
        quotes=_replied_to(payload, me, place),
        attachments=attachments(payload),
        locale=place.locale,
    )


def quote(payload: Payload, me: str, place: Place) -> Quote | None:
    """What a message says, for another one that refers to it; None if that is nothing. A thread that was begun
    under a message has one at its beginning that shows it."""
    if payload.get("type") == _BEGINS_THREAD:
        begun = payload.get("referenced_message")
        return None if begun is None else quote(begun, me, place)
    author = payload["author"]
    text = _text(payload, me, place)
    return Quote(Speaker(str(author["id"]), _name(author, payload.get("member"))), text) if text else None


def _replied_to(payload: Payload, me: str, place: Place) -> tuple[Quote, ...]:
    """Our own answers are remembered anyway."""
    to = payload.get("referenced_message")
    if to is None or str(to["author"]["id"]) == me or (found := quote(to, me, place)) is None:
        return ()
    return (found,)


def to_edit(payload: Payload, me: str, place: Place) -> Event | None:
    """The event of a MESSAGE_UPDATE: its writer changed the words. Whether it was answered, memory knows.

    Discord sends one for itself too, when it has looked at a link. Raises KeyError, TypeError or ValueError for a
    payload that is none.
    """
    edited = payload.get("edited_timestamp")
    if not edited or payload.get("author") is None or (event := to_event(payload, me, place)) is None:
        return None
    if not event.text:
        return None
    room = replace(event.room, address={**event.room.address, "reply_to": None})
    return replace(event, id=f"{event.id}/edit/{edited}", kind="edit", room=room, target=event.message)


def to_delete(payload: Payload, me: str, place: Place) -> Event:
    """The event of a MESSAGE_DELETE. Whose message it was, memory knows.

    Raises KeyError, TypeError or ValueError for a payload that is none.
    """
    channel, message = str(payload["channel_id"]), str(payload["id"])
    room = Room("discord", me, {"channel": channel, "reply_to": None})
    return Event(
        id=f"discord/{me}/{channel}/{message}/delete",
        kind="delete",
        room=room,
        conversation=_conversation(room, channel, place.parent if place.thread else ""),
        speaker=Speaker(""),
        target=message,
        server=str(payload.get("guild_id") or ""),
        shared=payload.get("guild_id") is not None,
    )


def to_press(payload: Payload, me: str) -> Event | None:
    """The event of an INTERACTION_CREATE of one of our buttons. What no button of ours says is nothing.

    Raises KeyError, TypeError or ValueError for a payload that is none.
    """
    if payload["type"] != COMPONENT:
        return None
    action = pressed(str(payload["data"]["custom_id"]))
    if action is None or str(payload["message"]["author"]["id"]) != me:
        return None
    return _interaction(payload, me, f"press/{action}", kind_of(action), action, private=True)


def to_command(payload: Payload, me: str) -> Event | None:
    """The event of an INTERACTION_CREATE for the bot account `me`: one of `core.commands`, or that we are asked
    about a message, in its menu.

    Whether the answer is for the person alone is decided here, since the room must say so for ever. Raises
    TypeError or ValueError for a payload that is none.
    """
    if payload["type"] != _APPLICATION_COMMAND:
        return None
    if payload["data"].get("type") == _MESSAGE_COMMAND:
        return _asked_about(payload, me)
    if (command := find(payload["data"]["name"])) is None:
        return None
    kind, text = command.asked(_typed(payload))
    return _interaction(payload, me, "command", kind, text, private=command.private)


def to_typing(payload: Payload) -> tuple[str, str] | None:
    """The command whose text somebody is typing, and what stands there already; None: nobody is.

    Raises KeyError, TypeError or ValueError for a payload that is none.
    """
    return (str(payload["data"]["name"]), _typed(payload)) if payload["type"] == _AUTOCOMPLETE else None


def _typed(payload: Payload) -> str:
    options = {option["name"]: option.get("value", "") for option in payload["data"].get("options", ())}
    return str(options.get("text", "")).strip()


def _asked_about(payload: Payload, me: str) -> Event:
    chosen = payload["data"]["resolved"]["messages"][str(payload["data"]["target_id"])]
    asked = translated(ABOUT_THIS, str(payload.get("locale") or ""))
    said = quote(chosen, me, Place())
    return replace(
        _interaction(payload, me, "ask", "message", asked, private=False),
        quotes=() if said is None else (said,),
        files=files(chosen),
        attachments=tuple(replace(each, speaker=str(chosen["author"]["id"])) for each in attachments(chosen)),
        alone=True,
    )


def _interaction(payload: Payload, me: str, what: str, kind: Kind, text: str, *, private: bool) -> Event:
    number, channel = str(payload["id"]), str(payload["channel_id"])
    at = discord.utils.snowflake_time(int(number)).timestamp()
    member = payload.get("member")
    person = member["user"] if member else payload["user"]
    where = payload.get("channel") or {}
    room = Room(
        "discord",
        me,
        {
            "channel": channel,
            "interaction": number,
            "application": str(payload["application_id"]),
            "token": str(payload["token"]),
            "until": at + TOKEN_SECONDS,
            "private": private,
        },
    )
    under = payload.get("message")
    return Event(
        id=f"discord/{me}/{channel}/{number}/{what}",
        kind=kind,
        room=room,
        conversation=_conversation(room, channel, str(where["parent_id"]) if is_thread(where.get("type")) else ""),
        speaker=Speaker(str(person["id"]), _name(person, member)),
        text=text,
        message="" if under else number,
        target=str(under["id"]) if under else "",
        at=at,
        server=str(payload.get("guild_id") or ""),
        shared=member is not None,
        roles=_roles(member),
        manages=member is None or bool(int(member.get("permissions") or 0) & _MANAGES),
        locale=str(payload.get("locale") or ""),
    )


def _roles(member: Payload | None) -> tuple[str, ...]:
    return tuple(map(str, (member or {}).get("roles", ())))


def _conversation(room: Room, channel: str, parent: str) -> Conversation:
    return Conversation.of(room, parent, channel) if parent else Conversation.of(room, channel)


def _addressed(payload: Payload, me: str, place: Place) -> bool:
    if any(str(user["id"]) == me for user in payload.get("mentions", ())):
        return True
    if not place.roles.isdisjoint(map(str, payload.get("mention_roles", ()))):
        return True
    to = payload.get("referenced_message")
    return to is not None and str(to["author"]["id"]) == me


def _text(payload: Payload, me: str, place: Place) -> str:
    names = {str(user["id"]): _name(user, user.get("member")) for user in payload.get("mentions", ())}

    def shown(match: re.Match[str]) -> str:
        match match.lastgroup, match[match.lastgroup or 0]:
            case "user", number:
                return "" if number == me else f"@{names.get(number, 'someone')}"
            case "role", number:
                return "" if number in place.roles else f"@{place.names.get(number, 'some role')}"
            case "channel", number:
                return f"#{place.names.get(number, 'some channel')}"
            case "emoji", name:
                return f":{name}:"
            case _, name:
                return f"/{name}"

    ours = "|".join([f"<@!?{me}>", *(f"<@&{role}>" for role in sorted(place.roles))])
    text = re.sub(rf"(^|\s)(?:{ours})[ \t]", r"\1", _words(payload))
    return _MENTION.sub(shown, text).strip()


def _words(payload: Payload) -> str:
    """What was written, or else what was forwarded."""
    if payload.get("content"):
        return str(payload["content"])
    forwarded = (shot.get("message", {}).get("content", "") for shot in payload.get("message_snapshots", ()))
    return "\n\n".join(filter(None, map(str, forwarded)))


def _name(user: Payload, member: Payload | None) -> str:
    return str((member or {}).get("nick") or user.get("global_name") or user.get("username") or "")
