"""Slack's payloads into an `Event`, or None: not for us. Pure: no client, no store, no clock.

For us is every direct message of a person, and in channels and group messages what mentions the bot or stands in a
thread that the bot is part of. A message is its channel and ts: a mention arrives twice, as `message` and as
`app_mention`, with two event ids, and both become the same event. Of edits, those in which a person changed the
words are for us, and each deletion of what a person wrote. What Slack itself says, and whatever another app posts
is not.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import msgspec

from adapters.slack.buttons import pressed
from adapters.slack.readable import mentioned, readable, without
from core.commands import find
from core.languages import msgid
from core.turns import Attachment, Conversation, Event, Kind, Quote, Room, Speaker, kind_of

BANG = "!"
"""What is written before a command's name: a slash command cannot be written in a thread."""

LACKS = msgid("While an answer of mine grows in a thread no button of mine can stand under it: `!stop` ends it.")
"""What the help says besides the commands."""

_OURS = {"message", "app_mention"}
_SUBTYPES = {"", "file_share", "thread_broadcast"}
_COMMAND = re.compile(BANG + r"(\w+)(?:\s+(.*))?", re.DOTALL)
_KINDS = {"image": "image", "audio": "audio", "video": "video"}


@dataclass(frozen=True, slots=True)
class Account:
    """The bot's account: the workspace, the user that mentions name, and the bot's own id where it is known."""

    team: str
    user: str
    bot: str = ""

    @property
    def id(self) -> str:
        return f"{self.team}-{self.user}"


def team_of(room: Room) -> str:
    """The workspace of one of our rooms."""
    return room.bot.partition("-")[0]


class File(msgspec.Struct, frozen=True):
    """https://docs.slack.dev/reference/objects/file-object"""

    mimetype: str | None = None
    subtype: str | None = None
    name: str | None = None
    size: int | None = None
    url_private_download: str | None = None

    @property
    def kind(self) -> str:
        if self.subtype == "slack_audio":
            return "voice"
        return _KINDS.get((self.mimetype or "").partition("/")[0], "file")

    def attachment(self, team: str) -> Attachment:
        """Of a file in that workspace."""
        return Attachment(
            kind=self.kind,
            name=self.name or "",
            size=self.size or 0,
            type=(self.mimetype or "").lower(),
            address={"url": self.url_private_download or "", "team": team},
        )


class Message(msgspec.Struct, frozen=True):
    """What we read of a message event: https://docs.slack.dev/reference/events/message"""

    type: str
    channel: str
    ts: str
    user: str | None = None
    text: str | None = None
    thread_ts: str | None = None
    parent_user_id: str | None = None
    subtype: str | None = None
    bot_id: str | None = None
    channel_type: str | None = None
    hidden: bool = False
    files: tuple[File, ...] | None = ()

    @property
    def direct(self) -> bool:
        return self.channel_type == "im" or _is_direct(self.channel)

    @property
    def thread(self) -> str:
        """The conversation within the channel: in a channel each message outside of a thread begins one."""
        if self.thread_ts:
            return self.thread_ts
        return "" if self.direct else self.ts


@dataclass(frozen=True, slots=True)
class Address:
    """A room's address: where replies are posted, and after which moment to look for them."""

    channel: str
    thread: str | None
    since: str

    @classmethod
    def of(cls, room: Room) -> "Address":
        thread = room.address["thread"]
        return cls(
            str(room.address["channel"]), None if thread is None else str(thread), str(room.address["since"])
        )

    def room(self, me: Account) -> Room:
        return Room("slack", me.id, {"channel": self.channel, "thread": self.thread, "since": self.since})


def read(payload: Mapping[str, Any]) -> Message | None:
    """The message of a person in `payload`, the inner event; None if it holds none.

    Raises `msgspec.ValidationError` for an event that is not as Slack describes it.
    """
    if payload.get("type") not in _OURS or (payload.get("subtype") or "") not in _SUBTYPES:
        return None
    message = msgspec.convert(payload, Message)
    float(message.ts)
    if message.bot_id or message.hidden or not message.user or message.user == "USLACKBOT":
        return None
    return message


def addressed(message: Message, me: Account) -> bool:
    """Whether the message itself says that it is meant for the bot."""
    return (
        message.direct
        or message.type == "app_mention"
        or message.parent_user_id == me.user
        or me.user in mentioned(message.text or "")
    )


def to_event(
    payload: Mapping[str, Any],
    me: Account,
    names: Mapping[str, str] | None = None,
    *,
    taking_part: bool = False,
    before: Sequence[Mapping[str, Any]] = (),
    locale: str = "",
    manages: bool = False,
) -> Event | None:
    """The event in `payload`, the inner event. `names` leads from user ids to names; `taking_part`: the bot is
    part of the thread that the message stands in; `before` is what was said in it, where it is not; `locale` is
    that of whoever wrote it, and `manages` whether they manage the workspace.

    Raises `msgspec.ValidationError` and `ValueError` for an event that is not as Slack describes it.
    """
    message = read(payload)
    if message is None or message.user == me.user or message.user is None:
        return None
    if not (taking_part or addressed(message, me)):
        return None
    names = names or {}
    text = readable(without(message.text or "", me.user), names)
    kind, text = _command(text)
    room = Address(message.channel, message.thread or None, message.ts).room(me)
    return Event(
        id=f"slack:{me.id}:{message.channel}:{message.ts}",
        kind=kind,
        room=room,
        conversation=Conversation.of(room, message.channel, message.thread),
        speaker=Speaker(message.user, names.get(message.user, "")),
        text=text,
        message=message.ts,
        files=tuple(file.kind for file in message.files or ()),
        at=float(message.ts),
        server=me.team,
        shared=not message.direct,
        called=addressed(message, me),
        manages=message.direct or manages,
        quotes=tuple(quoted(before, me, names)) if kind == "message" else (),
        attachments=tuple(file.attachment(me.team) for file in message.files or ()),
        locale=locale,
    )


def quoted(messages: Sequence[Mapping[str, Any]], me: Account, names: Mapping[str, str]) -> Iterator[Quote]:
    """What messages say, for another one that refers to them."""
    for message in messages:
        user, text = str(message.get("user") or ""), str(message.get("text") or "")
        name = names.get(user, "") or str(message.get("username") or "")
        if said := readable(without(text, me.user), names):
            yield Quote(Speaker(user, name), said)


def to_edit(payload: Mapping[str, Any], event: Event) -> Event:
    """`event`, which is the message as it reads now, as what its writer did to it: the edit in `payload`."""
    at = str(payload["message"]["edited"]["ts"])
    return replace(event, id=f"{event.id}:edit:{at}", kind="edit", target=event.message, at=float(at))


def edited(payload: Mapping[str, Any]) -> dict[str, Any] | None:
    """The message in `payload`, the inner event, if a person has changed its words: as if it were new. Slack also
    tells of links that were unfolded, and of what the bot itself has changed."""
    if payload.get("type") != "message" or payload.get("subtype") != "message_changed":
        return None
    message, before = payload["message"], payload.get("previous_message") or {}
    by = (message.get("edited") or {}).get("user")
    if not by or by != message.get("user") or message.get("text") == before.get("text"):
        return None
    return {
        **message,
        "type": "message",
        "channel": payload["channel"],
        "channel_type": payload.get("channel_type"),
    }


def to_delete(payload: Mapping[str, Any], me: Account) -> Event | None:
    """The event of a message that was taken away, if `payload`, the inner event, tells of a person's.

    Raises KeyError, TypeError or ValueError for an event that is not as Slack describes it.
    """
    if payload.get("type") != "message" or payload.get("subtype") != "message_deleted":
        return None
    before = payload["previous_message"]
    if before.get("bot_id") or before.get("user") in {None, me.user}:
        return None
    message = msgspec.convert({**before, "type": "message", **_placed(payload)}, Message)
    room = Address(message.channel, message.thread or None, message.ts).room(me)
    return Event(
        id=f"slack:{me.id}:{message.channel}:{message.ts}:delete",
        kind="delete",
        room=room,
        conversation=Conversation.of(room, message.channel, message.thread),
        speaker=Speaker(message.user or ""),
        target=message.ts,
        server=me.team,
        shared=not message.direct,
    )


def _is_direct(channel: str) -> bool:
    return channel.startswith("D")


def _placed(payload: Mapping[str, Any]) -> dict[str, Any]:
    return {"channel": payload["channel"], "channel_type": payload.get("channel_type")}


class _Named(msgspec.Struct, frozen=True):
    id: str
    name: str = ""


class _Element(msgspec.Struct, frozen=True):
    action_id: str
    action_ts: str
    value: str = ""


class _Standing(msgspec.Struct, frozen=True):
    ts: str
    thread_ts: str | None = None


class Press(msgspec.Struct, frozen=True):
    """What we read of https://docs.slack.dev/reference/interaction-payloads/block_actions-payload"""

    user: _Named
    channel: _Named
    message: _Standing
    actions: tuple[_Element, ...]


def to_press(payload: Mapping[str, Any], me: Account) -> Event | None:
    """The event of a button under one of our messages. What no button of ours says is nothing.

    Raises `msgspec.ValidationError` and `ValueError` for an interaction that is not as Slack describes it.
    """
    press = msgspec.convert(payload, Press)
    element = press.actions[0] if press.actions else None
    if element is None or (action := pressed(element.action_id, element.value)) is None:
        return None
    channel, thread = press.channel.id, press.message.thread_ts
    room = Address(channel, thread, press.message.ts).room(me)
    return Event(
        id=f"slack:{me.id}:{channel}:{press.message.ts}:{action}:{press.user.id}:{element.action_ts}",
        kind=kind_of(action),
        room=room,
        conversation=Conversation.of(room, channel, thread or ""),
        speaker=Speaker(press.user.id, press.user.name),
        text=action,
        target=press.message.ts,
        at=float(element.action_ts),
        server=me.team,
        shared=not _is_direct(channel),
    )


def _command(text: str) -> tuple[Kind, str]:
    if (match := _COMMAND.fullmatch(text)) and (command := find(match[1])):
        kind, said = command.asked((match[2] or "").strip())
        return kind, f"{BANG}\n{LACKS}" if kind == "help" else said
    return "message", text
