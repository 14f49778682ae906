"""The three platforms on loopback, as the storm and the verdict need them.

They live in the benchmark's own process and outlast everything. Whatever the verdict counts is read from what
stands in them.
"""

from collections import defaultdict
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import asdict
from types import TracebackType
from typing import Protocol, Self

from adapters.markdown import plain
from benchmarks.chaos.plan import Call, Fault, Platform, Room, Say
from benchmarks.chaos.verdict import Post, Said, Verdict, judge, total
from tests.fakes.discord import FakeDiscord
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT
from tests.fakes.telegram import FakeTelegram, Sent

# Slack brings an event again at once, after a minute and after five (https://docs.slack.dev/apis/events-api#retries).
# A storm lasts no longer than that, so here the pauses are shorter.
_PAUSES = (0.0, 10.0, 30.0)

Killed = Callable[[Sent], bool]
"""Whether the sender of a message was killed before it can have recorded that."""


class Side(Protocol):
    """One platform: what people do on it, what goes wrong, and what stands there."""

    async def say(self, say: Say) -> None: ...

    async def redeliver(self, number: int) -> None: ...

    def fail(self, call: Call, fault: Fault, after: int) -> bool:
        """The next such call goes wrong; False if that is so already. Faults do not pile up: who waits ever longer
        between two tries would meet nothing else."""
        ...

    def cut(self) -> None: ...

    def break_down(self) -> None: ...

    def mend(self) -> None: ...

    async def until_listened_to(self, within: float) -> None: ...

    def said(self, room: Room) -> list[Said]: ...

    def posts(self, room: Room, killed: Killed) -> list[Post]: ...


class Discord:
    """Discord: messages come in the order of their ids, and a send can be repeated."""

    _CALLS: Mapping[Call, tuple[str, str]] = {
        "send": ("POST", "/channels/{channel_id}/messages"),
        "edit": ("PATCH", "/channels/{channel_id}/messages/{message_id}"),
        "read": ("GET", "/channels/{channel_id}/messages"),
    }

    def __init__(self) -> None:
        self.fake = FakeDiscord()
        self._said: defaultdict[Room, list[Say]] = defaultdict(list)
        self._ids: dict[int, str] = {}

    def open(self, room: Room) -> None:
        if room.shared:
            self.fake.world.room(room.name)

    async def say(self, say: Say) -> None:
        room = say.room
        where = room.name if room.shared else None
        self._said[room].append(say)
        self._ids[say.number] = self.fake.say(say.text, person=room.name, room=where, mention=room.shared)

    async def redeliver(self, number: int) -> None:
        self.fake.redeliver(self._ids[number])

    def fail(self, call: Call, fault: Fault, after: int) -> bool:
        if self.fake.is_to_fail(*self._CALLS[call]):
            return False
        self.fake.fail(*self._CALLS[call], fault, after=after)
        return True

    def cut(self) -> None:
        self.fake.gateway.drop()

    def break_down(self) -> None:
        self.fake.break_down()

    def mend(self) -> None:
        self.fake.mend()

    async def until_listened_to(self, within: float) -> None:
        await self.fake.until(lambda: self.fake.gateway.connected > 0, within)

    def said(self, room: Room) -> list[Said]:
        return _in_order(self._said[room])

    def posts(self, room: Room, killed: Killed) -> list[Post]:  # noqa: ARG002 - whoever was killed, the nonce holds
        return [Post(plain(text)) for text in self.fake.shown(room.name)]


class Telegram:
    """Telegram: updates come in order until they are confirmed, and a send cannot be repeated without a double."""

    _CALLS: Mapping[Call, str] = {"send": "sendMessage", "edit": "editMessageText", "read": "getUpdates"}

    def __init__(self) -> None:
        self.fake = FakeTelegram()
        self._said: defaultdict[Room, list[Say]] = defaultdict(list)
        self._ids: dict[int, str] = {}

    async def say(self, say: Say) -> None:
        room = say.room
        text, where = (f"@trialogue_bot {say.text}", room.name) if room.shared else (say.text, None)
        self._said[room].append(say)
        # A person and a group are told apart by name.
        person = f"{room.name}_person" if room.shared else room.name
        self._ids[say.number] = await self.fake.say(text, person=person, room=where)

    async def redeliver(self, number: int) -> None:
        await self.fake.redeliver(self._ids[number])

    def fail(self, call: Call, fault: Fault, after: int) -> bool:
        if self.fake.is_to_fail(self._CALLS[call]):
            return False
        self.fake.fail(self._CALLS[call], fault, after=after)
        return True

    def cut(self) -> None:
        """It has no connection but those of single calls."""
        self.fail("read", "cut after", 0)

    def break_down(self) -> None:
        self.fake.down = True

    def mend(self) -> None:
        self.fake.mend()

    async def until_listened_to(self, within: float) -> None:
        await self.fake.until(lambda: bool(self.fake.calls("getUpdates")), within=within)

    def said(self, room: Room) -> list[Said]:
        return _in_order(self._said[room])

    def posts(self, room: Room, killed: Killed) -> list[Post]:
        return [self._post(message, killed) for message in self.fake.posted(room.name)]

    def _post(self, message: Mapping[str, object], killed: Killed) -> Post:
        chat, number = message["chat"], message["message_id"]
        assert isinstance(chat, dict)
        assert isinstance(number, int)
        sent = self.fake.sent[chat["id"], number]
        return Post(str(message["text"]), "cut" if sent.cut else "killed" if killed(sent) else "")


class Slack:
    """Slack: events may come in any order, and a message carries what tells it apart."""

    _CALLS: Mapping[Call, str] = {
        "send": "chat.postMessage",
        "edit": "chat.update",
        "read": "conversations.history",
    }

    def __init__(self) -> None:
        self.fake = FakeSlack(pauses=_PAUSES)
        self._said: defaultdict[Room, list[Say]] = defaultdict(list)
        self._ids: dict[int, str] = {}

    async def say(self, say: Say) -> None:
        self._said[say.room].append(say)
        self._ids[say.number] = await self.fake.say(say.text, person=say.room.name)

    async def redeliver(self, number: int) -> None:
        await self.fake.redeliver(self._ids[number])

    def fail(self, call: Call, fault: Fault, after: int) -> bool:
        if self.fake.is_to_fail(self._CALLS[call]):
            return False
        self.fake.fail(self._CALLS[call], fault, after=after)
        return True

    def cut(self) -> None:
        self.fake.cut_sockets()

    def break_down(self) -> None:
        self.fake.break_down()

    def mend(self) -> None:
        self.fake.mend()

    async def until_listened_to(self, within: float) -> None:
        await self.fake.until(lambda: bool(self.fake.sockets.open), within=within)

    def said(self, room: Room) -> list[Said]:
        """With the steps in which each was brought: what was not acknowledged in time comes again later."""
        begun: dict[str, int] = {}
        taken: dict[str, int] = {}
        for step, (ts, acknowledged) in enumerate(self.fake.steps):
            (taken if acknowledged else begun).setdefault(ts, step)
        never = len(self.fake.steps)
        ids = [(say, self._ids[say.number]) for say in self._said[room]]
        return [Said(say.number, say.text, begun.get(ts, never), taken.get(ts, never)) for say, ts in ids]

    def posts(self, room: Room, killed: Killed) -> list[Post]:  # noqa: ARG002 - whoever was killed, it can be looked up
        messages = self.fake.direct(room.name).messages.values()
        ours = [message for message in messages if message.get("user") == BOT]
        return [Post(plain(str(m["blocks"][0]["text"] if m.get("blocks") else m["text"]))) for m in ours]


class Town:
    """All platforms, and the people on them, whose rooms are `rooms`."""

    def __init__(self, rooms: list[Room]) -> None:
        self.rooms = rooms
        self.discord = Discord()
        self.telegram = Telegram()
        self.slack = Slack()
        self.sides: Mapping[Platform, Side] = {
            "discord": self.discord,
            "telegram": self.telegram,
            "slack": self.slack,
        }
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        for side in (self.discord, self.telegram, self.slack):
            await self._stack.enter_async_context(side.fake)
        for room in self.rooms:
            if room.platform == "discord":
                self.discord.open(room)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._stack.__aexit__(kind, exc, trace)

    def judged(self, platform: Platform, killed: Killed) -> Verdict:
        """The verdict on all that stands on one platform."""
        return total(self._judged(room, killed) for room in self.rooms if room.platform == platform)

    def wrong(self, killed: Killed) -> dict[str, object]:
        """What stands in each room where not all is as it should be, for whoever looks for the cause."""
        return {
            room.name: {
                "said": [asdict(said) for said in self.sides[room.platform].said(room)],
                "posts": [asdict(post) for post in self.sides[room.platform].posts(room, killed)],
                "verdict": asdict(verdict),
            }
            for room in self.rooms
            if not (verdict := self._judged(room, killed)).is_clean
        }

    def _judged(self, room: Room, killed: Killed) -> Verdict:
        side = self.sides[room.platform]
        return judge(side.said(room), side.posts(room, killed))


def _in_order(said: list[Say]) -> list[Said]:
    return [Said(say.number, say.text, step, step) for step, say in enumerate(said)]
