"""The people and the chats that a bot on Telegram meets, and the updates that this makes. Knows no HTTP.

People are named ("ann"), and so are groups; a private chat has its person's name.
"""

import asyncio
import itertools
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from tests.fakes.telegram_text import Json, detected

Standing = Literal["member", "kicked", "blocked", "restricted"]
_UPDATES = {"message", "edited_message", "channel_post", "my_chat_member", "callback_query"}


@dataclass
class Chat:
    """`standing` says what the bot may do here; `messages` are those of everybody, by number."""

    id: int
    type: Literal["private", "group", "supergroup", "channel"]
    name: str
    forum: bool = False
    standing: Standing = "member"
    moved_to: int | None = None
    topics: set[int] = field(default_factory=set)
    messages: dict[int, Json] = field(default_factory=dict)
    numbers: Iterator[int] = field(default_factory=lambda: itertools.count(2))  # 1 is its creation

    def json(self) -> Json:
        shown: Json = {"id": self.id, "type": self.type}
        if self.type == "private":
            return shown | {"first_name": self.name.title(), "username": f"{self.name}_k"}
        return shown | {"title": self.name} | ({"is_forum": True} if self.forum else {})


class World:
    """One bot and everybody around it.

    `privacy`: in groups the bot is sent only what is meant for it. `pending` are the updates that it has not
    acknowledged, `allowed` the kinds that it asked for. `queries` are those of buttons that were pressed, with the
    words of the bot's answer, and `None` as long as there is none. `uploads` are files by their ids.
    """

    def __init__(self, *, privacy: bool = True, bot: int = 7000, username: str = "trialogue_bot") -> None:
        self.privacy = privacy
        self.me: Json = {
            "id": bot,
            "is_bot": True,
            "first_name": "Trialogue",
            "username": username,
            "can_join_groups": True,
        }
        self.pending: deque[Json] = deque()
        self.allowed: list[str] = []
        self.chats: dict[int, Chat] = {}
        self.queries: dict[str, str | None] = {}
        self.changed = asyncio.Condition()
        self.uploads: dict[str, bytes] = {}
        self._names: dict[str, int] = {}
        self._people: dict[str, Json] = {}
        self.owners: set[str] = set()  # the people who own every group that they are in
        self._numbers = itertools.count(100)
        self._update_numbers = itertools.count(5001)
        self._group_ids = itertools.count(501)
        self._clock = itertools.count(1_800_000_000)

    # What people do

    async def say(
        self,
        text: str = "",
        *,
        person: str = "ann",
        room: str | None = None,
        topic: int | None = None,
        reply_to: str | None = None,
        **fields: Any,
    ) -> str:
        """`person` writes to the bot, or into the group `room`; returns the message's id. "@name" is a bot that
        speaks. `fields` go into the message as they are."""
        chat = self.chat(room) if room else self._private(person)
        message = self.message(chat, self._user(person), topic=topic, fields=fields)
        if text:
            message["text"] = text
            message.setdefault("entities", detected(text))
        if reply_to is not None:
            message["reply_to_message"] = self._standing(reply_to)
        await self._receive(chat, message)
        return f"{chat.id}/{message['message_id']}"

    def upload(self, name: str, data: bytes, kind: str) -> Json:
        """A document that a person sends."""
        number = f"file_{len(self.uploads) + 1}"
        self.uploads[number] = data
        shown = {"file_id": number, "file_unique_id": number, "file_size": len(data)}
        return shown | {"file_name": name, "mime_type": kind}

    async def redeliver(self, message: str) -> None:
        """The same message in another update, as after a lost acknowledgement."""
        await self._update({"message": self._standing(message)})

    async def edited(self, message: str, text: str) -> None:
        """The person changes what stands there."""
        standing = self._standing(message)
        standing |= {"text": text, "entities": detected(text), "edit_date": self.now()}
        await self._update({"edited_message": standing})

    async def press(self, message: str, data: str, *, person: str = "ann") -> str:
        """A button under a message of the bot is pressed, or somebody says so; the query's id."""
        query = f"query{next(self._numbers)}"
        self.queries[query] = None
        shown = {"id": query, "from": self._user(person), "chat_instance": "1", "data": data}
        await self._update({"callback_query": {**shown, "message": self._standing(message)}})
        return query

    async def garbage(self, update: Mapping[str, Any]) -> None:
        """An update as the bot has never seen one."""
        await self._update(dict(update))

    def open_group(self, name: str, *, supergroup: bool = True, forum: bool = False) -> Chat:
        """A group with the bot in it. Groups that are only spoken of are opened as supergroups."""
        number = next(self._group_ids)
        chat = Chat(
            -1_000_000_000_000 - number if supergroup else -number,
            "supergroup" if supergroup else "group",
            name,
            forum,
        )
        self.chats[chat.id] = chat
        self._names[name] = chat.id
        return chat

    async def open_topic(self, room: str, *, by: str = "ann") -> int:
        """A new topic of the forum `room`; its number."""
        chat = self.chat(room)
        message = self.message(
            chat, self._user(by), fields={"forum_topic_created": {"name": "x", "icon_color": 7322096}}
        )
        message |= {"message_thread_id": message["message_id"], "is_topic_message": True}
        chat.topics.add(message["message_id"])
        await self._receive(chat, message)
        return int(message["message_id"])

    async def migrate(self, room: str) -> int:
        """The group becomes a supergroup; its new id."""
        old = self.chat(room)
        new = self.open_group(room)
        old.moved_to = new.id
        user = self._user("ann")
        await self._receive(old, self.message(old, user, fields={"migrate_to_chat_id": new.id}))
        await self._receive(new, self.message(new, user, fields={"migrate_from_chat_id": old.id}))
        return new.id

    async def forbid(self, where: str, standing: Standing = "kicked") -> None:
        """From now on the bot may not write there."""
        self.chat(where).standing = standing
        await self.notify()

    async def delete(self, message: str) -> None:
        chat, _, number = message.partition("/")
        del self.chats[int(chat)].messages[int(number)]
        await self.notify()

    # What can be seen

    def chat(self, name: str) -> Chat:
        """The private chat of a person who has written (Ann and Bob always have), or a group."""
        if name not in self._names:
            if name in {"ann", "bob"}:
                return self._private(name)
            self.open_group(name)
        return self.chats[self._names[name]]

    def posted(self, where: str, *, topic: int | None = None) -> list[Json]:
        """The bot's messages there as they stand, oldest first; with `topic` only those in it."""
        return [
            message
            for message in self.chat(where).messages.values()
            if message["from"]["id"] == self.me["id"]
            and (topic is None or message.get("message_thread_id") == topic)
        ]

    def shown(self, where: str, *, topic: int | None = None) -> list[str]:
        """Their texts."""
        return [str(message.get("text", message.get("caption"))) for message in self.posted(where, topic=topic)]

    def attached(self, where: str) -> list[tuple[str, str]]:
        """Names and texts of the files that the bot has sent there."""
        documents = [message["document"] for message in self.posted(where) if "document" in message]
        return [(each["file_name"], self.uploads[each["file_id"]].decode()) for each in documents]

    async def until(self, predicate: Callable[[], bool], *, within: float = 30.0) -> None:
        """Wait for a change after which `predicate` holds."""
        try:
            async with asyncio.timeout(within), self.changed:
                await self.changed.wait_for(predicate)
        except TimeoutError:
            seen = {name: self.shown(name) for name in self._names}
            raise AssertionError(f"waited in vain; shown: {seen}") from None

    @property
    def unconfirmed(self) -> int:
        """Updates that the bot has not acknowledged."""
        return len(self.pending)

    # How it comes about

    def _private(self, person: str) -> Chat:
        user = self._user(person)
        self._names[person] = user["id"]
        return self.chats.setdefault(user["id"], Chat(user["id"], "private", person))

    def member(self, user: int) -> Json | None:
        """Somebody as a member of any group; None: nobody knows them."""
        for name, person in self._people.items():
            if person["id"] == user:
                owns = name in self.owners
                return (
                    {"status": "creator", "user": person, "is_anonymous": False}
                    if owns
                    else {"status": "member", "user": person}
                )
        return None

    def _user(self, name: str) -> Json:
        if name == f"@{self.me['username']}":
            return self.me
        if name not in self._people:
            self._people[name] = {
                "id": 1000 + len(self._people),
                "is_bot": name.startswith("@"),
                "first_name": name.removeprefix("@").title(),
                "username": name.removeprefix("@") if name.startswith("@") else f"{name}_k",
            }
        return self._people[name]

    def message(self, chat: Chat, user: Json, *, topic: int | None = None, fields: Mapping[str, Any]) -> Json:
        """A new message that stands in `chat`; nobody is told of it yet."""
        message: Json = {
            # A supergroup counts for itself, all other chats together.
            "message_id": next(chat.numbers if chat.type == "supergroup" else self._numbers),
            "date": self.now(),
            "from": {key: value for key, value in user.items() if not key.startswith("can_")},
            "chat": chat.json(),
        }
        if topic is not None:
            message |= {"message_thread_id": topic, "is_topic_message": True}
        message |= fields
        chat.messages[message["message_id"]] = message
        return message

    def _standing(self, message: str) -> Json:
        chat, _, number = message.partition("/")
        return self.chats[int(chat)].messages[int(number)]

    async def _receive(self, chat: Chat, message: Json) -> None:
        if chat.standing not in {"kicked", "blocked"} and (
            not self.privacy or self._is_meant_for_us(chat, message)
        ):
            await self._update({"message": message})
        else:
            await self.notify()

    def _is_meant_for_us(self, chat: Chat, message: Json) -> bool:
        words = f"{message.get('text', '')} {message.get('caption', '')}"
        to = message.get("reply_to_message", {}).get("from", {}).get("id")
        service = not words.strip()
        return (
            chat.type == "private"
            or service
            or f"@{self.me['username']}" in words
            or words.startswith("/")
            or to == self.me["id"]
            or any(e.get("user", {}).get("id") == self.me["id"] for e in message.get("entities", ()))
        )

    async def _update(self, update: Json) -> None:
        kinds = update.keys() & _UPDATES
        if not kinds or not self.allowed or kinds & set(self.allowed):
            self.pending.append({"update_id": next(self._update_numbers), **update})
        await self.notify()

    def now(self) -> int:
        """The time, which goes on with each look at it."""
        return next(self._clock)

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()
