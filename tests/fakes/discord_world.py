"""What there is on the loopback Discord: people, a server with its channels and threads, and what was said."""

import asyncio
import base64
import itertools
import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Change = Callable[[str, Json, "Room"], None]

EPOCH = 1420070400000
DIRECT, TEXT, THREAD = 1, 0, 11
EPHEMERAL = 1 << 6
LOADING = 1 << 7
INTENT_GUILDS = 1 << 0
INTENT_GUILD_MESSAGES = 1 << 9
INTENT_DIRECT_MESSAGES = 1 << 12
INTENT_CONTENT = 1 << 15
FLAG_CONTENT = 1 << 18  # of an application: the message content intent is allowed

MEMBER: Json = {
    "nick": None,
    "avatar": None,
    "roles": [],
    "joined_at": "2026-01-04T20:21:10.139000+00:00",
    "deaf": False,
    "mute": False,
    "flags": 0,
    "pending": False,
}
_MENTION = re.compile(r"<@!?(\d+)>")
_ROLE_MENTION = re.compile(r"<@&(\d+)>")


@dataclass(slots=True)
class User:
    id: str
    name: str
    bot: bool = False

    @property
    def payload(self) -> Json:
        return {
            "id": self.id,
            "username": self.name.lower(),
            "global_name": self.name,
            "discriminator": "0",
            "avatar": None,
            "public_flags": 0,
            **({"bot": True} if self.bot else {}),
        }


@dataclass(slots=True)
class Message:
    id: str
    author: User
    content: str
    attachments: list[Json] = field(default_factory=list)
    reference: str | None = None
    flags: int = 0
    edits: int = 0
    interaction: str | None = None  # the token of the interaction that it answers
    whispered_to: str | None = None  # the person who alone sees it
    pings: bool = True  # a reply calls the one whom it answers
    components: list[Json] = field(default_factory=list)
    payload: Json | None = None  # sent as it is, instead of what would be made of the rest


@dataclass(slots=True)
class Room:
    """A channel or thread of the server `guild`, or a direct channel. `forbidden` says why the bot may not act
    there any more."""

    id: str
    name: str
    kind: int
    guild: str = ""
    parent: str | None = None
    members: set[str] = field(default_factory=set)
    owner: str | None = None
    forbidden: Literal["", "access", "write", "direct"] = ""
    messages: list[Message] = field(default_factory=list)

    def find(self, message: str) -> Message | None:
        return next((one for one in self.messages if one.id == message), None)


class World:
    """Its changes wake whoever waits in `until`, and are told to `tell` with the name of the gateway's event."""

    def __init__(self) -> None:
        self._numbers = itertools.count()
        self._wakers: set[asyncio.Event] = set()
        self.users: dict[str, User] = {}
        self.rooms: dict[str, Room] = {}
        self._people: dict[str, User] = {}
        self._names: dict[str, Room] = {}
        self.bot = self._user("Trialogue", bot=True)
        self.other_bot = self._user("Other", bot=True)
        self.guild = self.snowflake()
        self.guilds = [self.guild]  # those that the bot is in
        self.role = self.snowflake()  # the bot's own, which Discord makes when a bot is invited
        self.application = self.snowflake()
        self.flags = FLAG_CONTENT
        self.managers: set[str] = set()  # the people who may manage the server's channels
        self.tell: Change = lambda _kind, _data, _room: None
        self.room("general")

    @property
    def token(self) -> str:
        return f"{base64.b64encode(self.bot.id.encode()).decode().rstrip('=')}.fake.token"

    def snowflake(self, age: float = 0.0) -> str:
        """A new id, as if made `age` seconds ago."""
        return str((int((time.time() - age) * 1000) - EPOCH << 22) + next(self._numbers))

    def wake(self) -> None:
        for waker in self._wakers:
            waker.set()

    async def until(self, predicate: Callable[[], bool], within: float, seen: Callable[[], object]) -> None:
        """Wait for a condition; looked at after each change. A time-out names what `seen` gives then."""
        waker = asyncio.Event()
        self._wakers.add(waker)
        try:
            async with asyncio.timeout(within):
                while not predicate():
                    waker.clear()
                    await waker.wait()
        except TimeoutError:
            raise AssertionError(f"not within {within} s; seen: {seen()}") from None
        finally:
            self._wakers.discard(waker)

    def person(self, name: str) -> User:
        if name not in self._people:
            self._people[name] = self._user(name.capitalize())
        return self._people[name]

    def server(self, shard: int, count: int) -> str:
        """One more server with the bot in it, whose events go to the shard `shard` of `count`."""
        moment = int(self.snowflake()) >> 22
        guild = str((moment - moment % count + shard << 22) + len(self.guilds))
        self.guilds.append(guild)
        return guild

    def room(self, name: str, guild: str | None = None) -> Room:
        """The channel `name` of the server, or of another one."""
        return self._named(name, TEXT, guild)

    def direct(self, person: str) -> Room:
        return self._named(f"@{person}", DIRECT)

    def thread(
        self,
        name: str,
        *,
        parent: str = "general",
        owner: str | None = None,
        joined: bool = False,
        under: str | None = None,
    ) -> Room:
        """A thread, begun under the parent's message `under` if there is one; the bot is a member if `joined`."""
        room = self._named(name, THREAD, self.room(parent).guild)
        room.parent, room.owner = self.room(parent).id, owner
        if under is not None:
            room.messages.append(self._beginning(room, self.room(parent), under))
        if joined:
            room.members.add(self.bot.id)
        self.tell("THREAD_CREATE", self.channel(room) | {"newly_created": True}, room)
        return room

    def _beginning(self, thread: Room, parent: Room, under: str) -> Message:
        """What stands first in a thread, and has no words of its own:
        https://discord.com/developers/docs/resources/message#message-object-message-types"""
        begun = parent.find(under)
        assert begun is not None, "a thread begins under a message that is there"
        message = Message(self.snowflake(), begun.author, "")
        shown = self.message(parent, begun, live=False)
        message.payload = self.message(thread, message, live=False) | {
            "type": 21,
            "message_reference": {
                "type": 0,
                "channel_id": parent.id,
                "guild_id": parent.guild,
                "message_id": under,
            },
            "referenced_message": shown,
        }
        return message

    def named(self, name: str) -> Room:
        """The room of that name: a thread or a channel, or else the direct channel of the person."""
        found = self._names.get(name)
        return found if found is not None else self.direct(name)

    def say(self, room: Room, message: Message) -> Message:
        room.messages.append(message)
        if room.kind == THREAD and message.author.id not in room.members:
            room.members.add(message.author.id)
            if message.author is self.bot:
                joined = {
                    "id": room.id,
                    "guild_id": room.guild,
                    "member_count": 2,
                    "added_members": [self._member_of_thread(room)],
                }
                self.tell("THREAD_MEMBERS_UPDATE", joined, room)
        if message.whispered_to is None and not message.flags & LOADING:
            self.tell("MESSAGE_CREATE", self.message(room, message, live=True), room)
        self.wake()
        return message

    def change(self, room: Room, message: Message, content: str, components: list[Json] | None = None) -> None:
        message.content = content
        if components is not None:
            message.components = components
        message.edits += 1
        message.flags &= ~LOADING
        if message.whispered_to is None:
            self.tell("MESSAGE_UPDATE", self.message(room, message, live=True), room)
        self.wake()

    def message(self, room: Room, message: Message, *, live: bool) -> Json:
        """A message as the gateway (`live`) or the REST API gives it."""
        if message.payload is not None:
            return message.payload
        mentioned = list(dict.fromkeys(_MENTION.findall(message.content)))
        referenced = room.find(message.reference) if message.reference else None
        if referenced is not None and message.pings and referenced.author.id not in mentioned:
            mentioned.append(referenced.author.id)
        users = [self.users[number].payload for number in mentioned if number in self.users]
        data: Json = {
            "id": message.id,
            "type": 19 if message.reference else 0,
            "channel_id": room.id,
            "channel_type": room.kind,
            "author": message.author.payload,
            "content": message.content,
            "timestamp": "2026-01-05T00:50:16.477000+00:00",
            "edited_timestamp": f"2026-01-05T00:50:17.{message.edits:06}+00:00" if message.edits else None,
            "tts": False,
            "mention_everyone": False,
            "mentions": users,
            "mention_roles": _ROLE_MENTION.findall(message.content),
            "attachments": message.attachments,
            "embeds": [],
            "components": message.components,
            "pinned": False,
            "flags": message.flags,
        }
        if message.reference:
            data["message_reference"] = {"type": 0, "channel_id": room.id, "message_id": message.reference}
            data["referenced_message"] = None if referenced is None else self.message(room, referenced, live=False)
        if live and room.kind != DIRECT:
            data["guild_id"] = room.guild
            data["member"] = MEMBER
        return data

    def blanked(self, data: Json, room: Room) -> Json:
        """A message as a bot without the message content intent gets it."""
        mine = data["author"]["id"] == self.bot.id
        if mine or room.kind == DIRECT or any(user["id"] == self.bot.id for user in data["mentions"]):
            return data
        return data | {"content": "", "attachments": [], "embeds": [], "components": []}

    def channel(self, room: Room) -> Json:
        data: Json = {
            "id": room.id,
            "type": room.kind,
            "last_message_id": room.messages[-1].id if room.messages else None,
            "flags": 0,
        }
        if room.kind == DIRECT:
            return data | {"recipients": []}
        data |= {"guild_id": room.guild, "name": room.name, "parent_id": room.parent}
        if room.kind == TEXT:
            return data | {
                "position": 0, "permission_overwrites": [], "topic": None, "nsfw": False, "rate_limit_per_user": 0,
            }  # fmt: skip
        data |= {
            "owner_id": room.owner or self.person("ann").id,
            "member_count": len(room.members),
            "message_count": len(room.messages),
            "total_message_sent": len(room.messages),
            "rate_limit_per_user": 0,
            "thread_metadata": {
                "archived": False,
                "archive_timestamp": "2026-01-05T00:49:57.102000+00:00",
                "auto_archive_duration": 1440,
                "create_timestamp": "2026-01-05T00:49:57.102000+00:00",
                "locked": False,
            },
        }
        return data | ({"member": self._member_of_thread(room)} if self.bot.id in room.members else {})

    def guild_payload(self, guild: str) -> Json:
        """A server as GUILD_CREATE has it."""
        role = {
            "color": 0,
            "hoist": False,
            "managed": False,
            "mentionable": False,
            "permissions": "0",
            "position": 0,
        }
        joined = {"joined_at": "2026-01-04T20:39:45.451082+00:00", "deaf": False, "mute": False, "flags": 0}
        return {
            "id": guild,
            "name": "Test server",
            "owner_id": self.person("ann").id,
            "member_count": 3,
            "large": False,
            "unavailable": False,
            "roles": [
                {**role, "id": guild, "name": "@everyone"},
                {**role, "id": self.role, "name": "Trialogue", "managed": True, "tags": {"bot_id": self.bot.id}},
            ],
            "emojis": [], "stickers": [], "features": [], "presences": [], "voice_states": [],
            "members": [{"user": self.bot.payload, "roles": [self.role], "nick": None, **joined}],
            "channels": [self.channel(room) for room in self.visible(TEXT, guild)],
            "threads": [self.channel(room) for room in self.visible(THREAD, guild)],
        }  # fmt: skip

    def visible(self, kind: int, guild: str) -> list[Room]:
        there = [room for room in self.rooms.values() if room.kind == kind and room.guild == guild]
        return [room for room in there if room.forbidden != "access"]

    def _member_of_thread(self, room: Room) -> Json:
        return {"id": room.id, "user_id": self.bot.id, "join_timestamp": "2026-01-05T00:49:57+00:00", "flags": 0}

    def _named(self, name: str, kind: int, guild: str | None = None) -> Room:
        if name not in self._names:
            where = "" if kind == DIRECT else guild or self.guild
            room = Room(self.snowflake(), name.removeprefix("@"), kind, where)
            self._names[name] = self.rooms[room.id] = room
            if kind == TEXT and room.name != "general":
                self.tell("CHANNEL_CREATE", self.channel(room), room)
        return self._names[name]

    def _user(self, name: str, *, bot: bool = False) -> User:
        user = User(self.snowflake(), name, bot)
        self.users[user.id] = user
        return user
