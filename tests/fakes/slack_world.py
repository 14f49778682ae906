"""A workspace with its people, its channels and one app, and the events that they make. Knows no HTTP.

People are named ("ann"), and so are channels; a direct message to the bot has its person's name.
"""

import asyncio
import html
import itertools
import re
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

Json = dict[str, Any]
Kind = Literal["im", "channel", "group", "mpim"]

TEAM = "T0TRIALOGUE"
APP = "A0TRIALOGUE"
BOT = "U0TRIALOGUE"
BOT_ID = "B0TRIALOGUE"


@dataclass
class Place:
    """A channel, a group or a direct message; `messages` are those that stand there, by ts."""

    id: str
    kind: Kind
    name: str
    member: bool = True
    archived: bool = False
    messages: dict[str, Json] = field(default_factory=dict)

    def json(self) -> Json:
        return {
            "id": self.id,
            "name": self.name,
            "is_im": self.kind == "im",
            "is_mpim": self.kind == "mpim",
            "is_channel": self.kind == "channel",
            "is_private": self.kind != "channel",
            "is_archived": self.archived,
            "is_member": self.member and self.kind != "im",
        }


class World:
    """The workspace `team`, with the app's account `bot`. `events` are those that Slack has for the app and has
    not begun to bring, `pushed` counts all that there were."""

    def __init__(self, team: str = TEAM, bot: str = BOT, bot_id: str = BOT_ID) -> None:
        self.team = team
        self.bot = bot
        self.bot_id = bot_id
        self.places: dict[str, Place] = {}
        self.people: dict[str, Json] = {}
        self.ephemeral: list[Json] = []
        self.statuses: list[Json] = []
        self.prompts: dict[str, list[Json]] = {}
        self.titles: dict[str, str] = {}
        self.events: asyncio.Queue[tuple[Json, int]] = asyncio.Queue()
        self.pushed = 0
        self.changed = asyncio.Condition()
        self._passed = 0.0
        self._untold = False
        self._made: dict[str, list[Json]] = {}
        self._later: list[tuple[Json, int]] | None = None
        self._numbers = itertools.count(1001)
        self._last = 0

    # What people do

    async def say(
        self,
        text: str = "",
        *,
        person: str = "ann",
        room: str | None = None,
        thread: str | None = None,
        **fields: Any,
    ) -> str:
        """`person` writes to the bot, or into `room`; returns the message's ts. "@name" becomes a mention of
        who is known by that name; "@trialogue" is the bot. `fields` go into the message as they are."""
        place = self.place(room) if room else self.direct(person)
        message = self.post(place, self.user(person)["id"], thread, {"text": self.typed(text)} | fields)
        self._tell(place, message)
        await self.notify()
        return str(message["ts"])

    async def open_pane(self, *, person: str = "ann") -> str:
        """`person` opens the assistant's pane; returns the ts of its thread."""
        place, user = self.direct(person), self.user(person)["id"]
        root = self.post(place, self.bot, None, {"text": "New Assistant Thread", "bot_id": self.bot_id})
        thread = {"user_id": user, "channel_id": place.id, "thread_ts": root["ts"], "context": {}}
        self.push(
            self.wrapped({"type": "assistant_thread_started", "assistant_thread": thread, "event_ts": self.now()})
        )
        await self.notify()
        return str(root["ts"])

    async def bot_says(self, text: str, *, room: str, thread: str | None = None) -> str:
        """Another app's bot writes into `room`."""
        place = self.place(room)
        fields = {"text": self.typed(text), "subtype": "bot_message", "bot_id": "B0WEATHER", "username": "weather"}
        message = self.post(place, None, thread, fields)
        self._tell(place, message)
        await self.notify()
        return str(message["ts"])

    async def redeliver(self, ts: str) -> None:
        """Slack pushes the events of a message once more, as after a lost acknowledgement."""
        for event in self._made[ts]:
            self.push(event, attempt=1)
        await self.notify()

    async def edited(self, ts: str, text: str) -> None:
        """The person changes what stands there."""
        place, message = next((p, p.messages[ts]) for p in self.places.values() if ts in p.messages)
        before = dict(message)
        message |= {"text": self.typed(text), "edited": {"user": message.get("user"), "ts": self.now()}}
        self.push(self.changed_event(place, message, before))
        await self.notify()

    async def deleted(self, ts: str) -> None:
        """The message is taken away."""
        place = next(p for p in self.places.values() if ts in p.messages)
        before, now = place.messages.pop(ts), self.now()
        gone = {"type": "message", "subtype": "message_deleted", "hidden": True, "deleted_ts": ts, "ts": now}
        more = {"channel": place.id, "channel_type": place.kind, "previous_message": before, "event_ts": now}
        self.push(self.wrapped({**gone, **more}))
        await self.notify()

    async def remove_bot(self, room: str) -> None:
        self.place(room).member = False
        await self.notify()

    @contextmanager
    def reversed(self) -> Iterator[None]:
        """The events of what is said in the block come when it ends, the last one first."""
        self._later = []
        try:
            yield
        finally:
            later, self._later = self._later, None
            for event in reversed(later):
                self.events.put_nowait(event)

    @contextmanager
    def untold(self) -> Iterator[None]:
        """What is said in the block comes to nobody, as when Slack has brought it in vain for the last time."""
        self._untold = True
        try:
            yield
        finally:
            self._untold = False

    # What there is

    def open(self, name: str, kind: Kind = "channel", *, member: bool = True) -> Place:
        """A channel with the bot in it. Channels that are only spoken of are opened as public ones."""
        prefix = {"im": "D", "mpim": "G"}.get(kind, "C")
        place = Place(f"{prefix}0{next(self._numbers)}", kind, name, member)
        self.places[place.id] = place
        return place

    def place(self, name: str) -> Place:
        known = (place for place in self.places.values() if place.name == name and place.kind != "im")
        return next(known, None) or self.open(name)

    def direct(self, person: str) -> Place:
        known = (place for place in self.places.values() if place.name == person and place.kind == "im")
        return next(known, None) or self.open(person, "im")

    def user(self, name: str) -> Json:
        if name not in self.people:
            profile = {"display_name": name.title(), "real_name": f"{name.title()} Example"}
            self.people[name] = {
                "id": f"U0{name.upper()}",
                "team_id": self.team,
                "name": name,
                "profile": profile,
                "locale": "en-US",
            }
        return self.people[name]

    def time(self) -> float:
        """The workspace's clock, in seconds since the epoch."""
        return time.time() + self._passed

    def pass_time(self, seconds: float) -> None:
        """It is so much later now."""
        self._passed += seconds

    def now(self) -> str:
        """A ts: seconds and microseconds, no two alike."""
        self._last = max(self._last + 1, int(self.time() * 1_000_000))
        return f"{self._last // 1_000_000}.{self._last % 1_000_000:06d}"

    def typed(self, text: str) -> str:
        """`text` as Slack keeps what a person has typed."""

        def mention(match: re.Match[str]) -> str:
            if match[1].lower() == "trialogue":
                return f"<@{self.bot}>"
            return f"<@{self.people[match[1]]['id']}>" if match[1] in self.people else match[0]

        return re.sub(r"@(\w+)", mention, html.escape(text, quote=False))

    def shown(self, room: str, *, thread: str | None = None) -> list[str]:
        """What the bot's messages in `room` (or only in `thread`) read now, oldest first, in Slack's Markdown."""
        place = self.direct(room) if any(p.name == room and p.kind == "im" for p in self.places.values()) else None
        standing = (place or self.place(room)).messages.values()
        return [
            str(message["blocks"][0]["text"]) if message.get("blocks") else str(message["text"])
            for message in standing
            if message.get("user") == self.bot and thread in (None, message.get("thread_ts"))
        ]

    async def until(self, predicate: Callable[[], bool], *, within: float = 20.0) -> None:
        """Wait until `predicate` holds; it is asked at each change. Raises AssertionError with what is there."""
        try:
            async with asyncio.timeout(within), self.changed:
                await self.changed.wait_for(predicate)
        except TimeoutError:
            seen = {place.name: self.shown(place.name) for place in self.places.values()}
            raise AssertionError(f"it did not come to that: {seen}, ephemeral: {self.ephemeral}") from None

    async def notify(self) -> None:
        async with self.changed:
            self.changed.notify_all()

    # What Slack makes of it

    def post(self, place: Place, user: str | None, thread: str | None, fields: Json) -> Json:
        """A message that stands in `place` now."""
        message: Json = {"type": "message", "ts": self.now(), "team": self.team} | fields
        if user is not None:
            message["user"] = user
        if thread is not None:
            message["thread_ts"] = thread
            if (parent := place.messages.get(thread)) is not None:
                if "user" in parent:
                    message["parent_user_id"] = parent["user"]
                replies = parent.get("reply_count", 0) + 1
                parent |= {"thread_ts": thread, "reply_count": replies, "latest_reply": message["ts"]}
        place.messages[message["ts"]] = message
        return message

    def push(self, event: Json, *, attempt: int = 0) -> None:
        if self._untold:
            return
        self.pushed += 1
        if self._later is not None:
            self._later.append((event, attempt))
        else:
            self.events.put_nowait((event, attempt))

    def wrapped(self, inner: Json) -> Json:
        """An event as Slack pushes it."""
        return {
            "token": "verification-token",
            "team_id": self.team,
            "api_app_id": APP,
            "event": inner,
            "type": "event_callback",
            "event_id": f"Ev0{next(self._numbers)}",
            "event_time": int(self.time()),
            "authorizations": [
                {
                    "enterprise_id": None,
                    "team_id": self.team,
                    "user_id": self.bot,
                    "is_bot": True,
                    "is_enterprise_install": False,
                }
            ],
            "is_ext_shared_channel": False,
        }

    def message_event(self, place: Place, message: Json) -> Json:
        more = {"channel": place.id, "channel_type": place.kind, "event_ts": message["ts"]}
        return self.wrapped({**message, **more})

    def changed_event(self, place: Place, message: Json, before: Json) -> Json:
        now = self.now()
        return self.wrapped(
            {
                "type": "message",
                "subtype": "message_changed",
                "hidden": True,
                "message": dict(message),
                "previous_message": before,
                "channel": place.id,
                "channel_type": place.kind,
                "ts": now,
                "event_ts": now,
            }
        )

    def _tell(self, place: Place, message: Json) -> None:
        if not place.member:
            return
        events = [self.message_event(place, message)]
        if place.kind != "im" and f"<@{self.bot}>" in message["text"]:
            mention = {key: value for key, value in message.items() if key not in {"subtype", "parent_user_id"}}
            inner = {**mention, "type": "app_mention", "channel": place.id, "event_ts": message["ts"]}
            events.append(self.wrapped(inner))
        self._made[message["ts"]] = events
        for event in events:
            self.push(event)
