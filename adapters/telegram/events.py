"""A Telegram message into an `Event`, or None: not for us. Pure: no client, no store, no clock.

For us is every private message of a person, and in a group what is addressed to the bot: a command, a mention, a
reply to one of its messages; besides that a button that was pressed, and a message that was edited. Channel posts,
service messages and other bots are not.
"""

import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass

from telegram import CallbackQuery, Chat, Message, MessageEntity, Update, User  # noqa: TID251

from adapters.telegram.files import attachments, files
from adapters.telegram.settings import DEBOUNCE, Debounce
from core.commands import find
from core.languages import msgid
from core.turns import ACTIONS, Conversation, Event, Kind, Quote, Room, Speaker, kind_of

LACKS = msgid(
    "Telegram does not tell me of messages that are deleted, nor of what was said before I was called: `/undo` "
    "takes your last message back, and `/forget` all of them."
)
"""What /help says besides the commands."""

# A forum's General topic has this number in links, but a message cannot be sent to it by its number.
_GENERAL_TOPIC = 1


@dataclass(frozen=True, slots=True)
class Address:
    """A room's address: the chat, the topic within it, the message that the answer quotes, and the query of
    whoever pressed a button."""

    chat: int
    topic: int | None
    reply_to: int | None
    query: str | None = None

    @classmethod
    def of(cls, room: Room) -> "Address":
        topic, reply_to = room.address["topic"], room.address["reply_to"]
        query = room.address.get("query")
        return cls(
            int(room.address["chat"] or 0),
            None if topic is None else int(topic),
            None if reply_to is None else int(reply_to),
            None if query is None else str(query),
        )


def to_event(update: Update, me: User, *, place: int | None = None, debounce: Debounce = DEBOUNCE) -> Event | None:
    """The event in `update`, for the bot account `me`.

    `place` is the chat whose conversation this is when it is not the message's own chat: the group that a
    supergroup once was. `debounce` says what may be a piece of a longer message.
    """
    if update.callback_query is not None:
        return _pressed(update.callback_query, me, place)
    if update.edited_message is not None:
        return _edited(update.edited_message, me, place)
    message = update.message
    if message is None or (speaker := _speaker(message)) is None:
        return None
    kinds = files(message)
    if not kinds and not message.text:
        return None
    text = _without_us(message, me)
    name, other, rest = _command(text)
    command = None if other else find(name)
    kind: Kind = "message"
    said = text
    if command is not None:
        kind, said = command.asked(rest)
    if kind == "help":
        said = f"/\n{LACKS}"
    group = message.chat.type != Chat.PRIVATE
    if group and (other or (kind == "message" and not (_mentions(message, me) or _replies_to(message, me)))):
        return None

    topic = _topic(message)
    more_within = _more_within(message, debounce) if kind == "message" else 0.0
    # Where many people talk, the answer shows whom it answers.
    address = Address(message.chat.id, topic, message.message_id if group else None)
    room = Room("telegram", str(me.id), asdict(address))
    return Event(
        id=_event_id(message, me, stands_alone=bool(message.caption or more_within)),
        kind=kind,
        room=room,
        conversation=Conversation.of(room, message.chat.id if place is None else place, topic or ""),
        speaker=speaker,
        text=said,
        message=message_id(message.chat.id, message.message_id),
        files=kinds,
        at=message.date.timestamp(),
        more_within=more_within,
        shared=group,
        # What somebody is in a group, only Telegram knows; a group speaks by its administrators alone.
        manages=not group or speaker.id == str(message.chat.id),
        quotes=_quotes(message, me) if kind == "message" else (),
        attachments=tuple(attachments(message)),
        locale=_locale(message.from_user),
    )


def _pressed(query: CallbackQuery, me: User, place: int | None) -> Event | None:
    """A button under one of our messages. What no button of ours says is nothing."""
    message, action = query.message, ACTIONS.get(query.data or "")
    if message is None or action is None:
        return None
    topic = _topic(message) if isinstance(message, Message) else None  # of one too old to be seen we know no more
    room = Room("telegram", str(me.id), asdict(Address(message.chat.id, topic, None, query.id)))
    return Event(
        id=f"telegram/{me.id}/{message.chat.id}/{message.message_id}/{query.data}/{query.id}",
        kind=kind_of(action),
        room=room,
        conversation=Conversation.of(room, message.chat.id if place is None else place, topic or ""),
        speaker=Speaker(str(query.from_user.id), query.from_user.full_name),
        text=action,
        target=message_id(message.chat.id, message.message_id),
        shared=message.chat.type != Chat.PRIVATE,
        locale=_locale(query.from_user),
    )


def _edited(message: Message, me: User, place: int | None) -> Event | None:
    """A message that reads otherwise now. Whether it was for us at all, memory knows."""
    speaker, text = _speaker(message), _without_us(message, me)
    if speaker is None or not text or message.edit_date is None or _command(text)[0]:
        return None
    topic = _topic(message)
    room = Room("telegram", str(me.id), asdict(Address(message.chat.id, topic, None)))
    return Event(
        id=f"telegram/{me.id}/{message.chat.id}/{message.message_id}/edit/{message.edit_date.timestamp():.0f}",
        kind="edit",
        room=room,
        conversation=Conversation.of(room, message.chat.id if place is None else place, topic or ""),
        speaker=speaker,
        text=text,
        target=message_id(message.chat.id, message.message_id),
        at=message.edit_date.timestamp(),
        shared=message.chat.type != Chat.PRIVATE,
        locale=_locale(message.from_user),
    )


def message_id(chat: int, number: int) -> str:
    """The id of a message: its number counts within the chat only, and a group may move to another chat."""
    return f"{chat}/{number}"


def moved(update: Update) -> tuple[int, int] | None:
    """(old chat, new chat) when a group became a supergroup; both chats are told, in any order."""
    if (message := update.message) is None:
        return None
    if message.migrate_to_chat_id is not None:
        return message.chat.id, message.migrate_to_chat_id
    if message.migrate_from_chat_id is not None:
        return message.migrate_from_chat_id, message.chat.id
    return None


def _speaker(message: Message) -> Speaker | None:
    if message.is_automatic_forward or message.via_bot is not None:
        return None
    if (chat := message.sender_chat) is not None:
        # An administrator who stays anonymous, or a person who speaks as their channel: the platform puts a bot
        # of its own into from_user.
        return Speaker(str(chat.id), chat.title or chat.username or "")
    user = message.from_user
    if user is None or user.is_bot:
        return None
    return Speaker(str(user.id), user.full_name)


def _locale(user: User | None) -> str:
    return (user.language_code if user is not None else None) or ""


def _more_within(message: Message, debounce: Debounce) -> float:
    """For how long more of it may come. In a group only the first piece would be addressed to us."""
    if message.chat.type != Chat.PRIVATE:
        return 0.0
    units = len((message.text or message.caption or "").encode("utf-16-le", "surrogatepass")) // 2
    return debounce.seconds if message.media_group_id or units >= debounce.units else 0.0


def _event_id(message: Message, me: User, *, stands_alone: bool) -> str:
    if message.media_group_id and not stands_alone:
        # The pictures of an album come as a message each. Those that say nothing are one event.
        return f"telegram/{me.id}/{message.chat.id}/album/{message.media_group_id}"
    return f"telegram/{me.id}/{message.chat.id}/{message.message_id}"


def _topic(message: Message) -> int | None:
    # In other groups the field is set too: there it numbers a chain of replies.
    if not message.is_topic_message or message.message_thread_id == _GENERAL_TOPIC:
        return None
    return message.message_thread_id


def _command(text: str) -> tuple[str, str, str]:
    """(command, the bot that it names, the rest) of a text that begins with one; else empty."""
    match = re.match(r"/(\w+)(?:@(\w+))?(?:\s+|$)", text)
    return (match[1].lower(), match[2] or "", text[match.end() :]) if match else ("", "", text)


def _mentions(message: Message, me: User) -> bool:
    return any(_names_us(entity, shown, me) for entity, shown in _entities(message))


def _names_us(entity: MessageEntity, shown: str, me: User) -> bool:
    match entity.type:
        case MessageEntity.MENTION:
            return _is_us(shown.removeprefix("@"), me)
        case MessageEntity.TEXT_MENTION:
            return entity.user is not None and entity.user.id == me.id
        case MessageEntity.BOT_COMMAND:
            return _is_us(shown.partition("@")[2], me)
        case _:
            return False


def _is_us(name: str, me: User) -> bool:
    return bool(me.username) and name.lower() == (me.username or "").lower()


def _replies_to(message: Message, me: User) -> bool:
    to = message.reply_to_message
    # Each message of a topic replies to the one that opened it, and the bot may have done that.
    return to is not None and not to.forum_topic_created and to.from_user is not None and to.from_user.id == me.id


def _quotes(message: Message, me: User) -> tuple[Quote, ...]:
    """What the message replies to, or the part of it that was marked. Our own answers are remembered anyway; of
    them only a marked part says something."""
    to, marked = message.reply_to_message, message.quote
    if to is None:
        return (Quote(Speaker(""), marked.text),) if marked is not None else ()  # of another chat
    text = marked.text if marked is not None else to.text or to.caption or ""
    ours = to.from_user is not None and to.from_user.id == me.id
    if not text or (ours and marked is None):
        return ()
    return (Quote(_speaker(to) or Speaker(str(me.id) if ours else "", me.first_name if ours else ""), text),)


def _entities(message: Message) -> Iterator[tuple[MessageEntity, str]]:
    """Each entity with the text that it covers. Offsets count UTF-16 units."""
    units = (message.text or message.caption or "").encode("utf-16-le", "surrogatepass")
    for entity in message.entities or message.caption_entities:
        covered = units[entity.offset * 2 : (entity.offset + entity.length) * 2]
        yield entity, covered.decode("utf-16-le", "replace")


def _without_us(message: Message, me: User) -> str:
    """The text without the mentions of the bot, and with an @ before people who have only a name."""
    units = (message.text or message.caption or "").encode("utf-16-le", "surrogatepass")
    text, done = "", 0

    def copy(until: int) -> None:
        nonlocal text, done
        text += units[done * 2 : until * 2].decode("utf-16-le", "replace")
        done = until

    for entity, shown in sorted(_entities(message), key=lambda pair: pair[0].offset):
        if entity.offset < done:
            continue
        if _names_us(entity, shown, me):
            # Of "/help@us" only the name goes.
            ours = shown.partition("@")[2] if entity.type == MessageEntity.BOT_COMMAND else shown[1:]
            end = entity.offset + entity.length
            copy(end - len(ours) - 1 if entity.type != MessageEntity.TEXT_MENTION else entity.offset)
            done = end
            if (not text or text[-1].isspace()) and units[done * 2 : done * 2 + 2] == b" \0":
                done += 1
        elif entity.type == MessageEntity.TEXT_MENTION and not shown.startswith("@"):
            copy(entity.offset)
            text += "@"
    copy(len(units) // 2)
    return text.strip()
