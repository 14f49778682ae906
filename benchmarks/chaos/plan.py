"""What happens in a run, and when: made of a seed alone, so that the same seed brings the same faults again.

Times are seconds since the start. Knows no process and no platform's API.
"""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

Platform = Literal["discord", "telegram", "slack"]
Fault = Literal["429", "500", "html", "cut before", "cut after"]
Call = Literal["send", "edit", "read"]
Scenario = Literal["storm", "store-down", "platform-down"]

PLATFORMS: tuple[Platform, ...] = ("discord", "telegram", "slack")
LISTENERS = ("listen-1", "listen-2")
WORKERS = ("work-1", "work-2", "work-3")
STORE = "store"

# Slack gets fewer: of its fifty calls a minute for a whole workspace (https://docs.slack.dev/apis/web-api/rate-limits)
# a bot that keeps to them cannot answer more.
_ROOMS = {"discord": 0.43, "telegram": 0.43, "slack": 0.14}
_MESSAGES = {"discord": 0.46, "telegram": 0.46, "slack": 0.08}

_KILL_EVERY, _STORE_EVERY = 4.0, 20.0
_DOWN, _STORE_DOWN = (0.2, 3.0), (0.3, 2.5)
_STARTING = 5.0  # what has just been started is let live for so long: who is never up can lose nothing
_BREAK_EVERY = {"discord": 1.0, "telegram": 1.0, "slack": 6.0}
_CUT_EVERY, _REDELIVER_EVERY = 15.0, 2.0
_FAULTS: tuple[Fault, ...] = ("429", "500", "html", "cut before", "cut after")
_CALLS: tuple[Call, ...] = (*("send",) * 6, *("edit",) * 3, "read")
_FOLLOWS_AT_ONCE = 0.3  # the share of messages that do not wait for the answer to the one before
_WORDS, _MANY_WORDS = (3, 30), (350, 420)
_LONG = 0.02


@dataclass(frozen=True, slots=True)
class Room:
    """One conversation: a person with the bot alone or, `shared`, a channel in which the bot is called."""

    platform: Platform
    name: str
    shared: bool = False


@dataclass(frozen=True, slots=True)
class Say:
    """A person writes message `number`."""

    number: int
    room: Room
    words: int

    @property
    def text(self) -> str:
        """Each word names its message and its own place in it."""
        return " ".join(f"n{self.number}w{word}" for word in range(self.words))


@dataclass(frozen=True, slots=True)
class Redeliver:
    """The platform brings a message once more."""

    number: int


@dataclass(frozen=True, slots=True)
class Kill:
    """SIGKILL, and a new start `down` seconds later."""

    target: str
    down: float


@dataclass(frozen=True, slots=True)
class Break:
    """The platform's next answer to such a call is a fault; `after` is what a 429 asks for."""

    platform: Platform
    call: Call
    fault: Fault
    after: int


@dataclass(frozen=True, slots=True)
class Cut:
    """The connections over which the platform brings events are gone without a word."""

    platform: Platform


@dataclass(frozen=True, slots=True)
class Outage:
    """Nobody reaches the platform for so many seconds."""

    platform: Platform
    seconds: float


Action = Say | Redeliver | Kill | Break | Cut | Outage


@dataclass(frozen=True, slots=True)
class Size:
    """How long a run is, and how much is said in it."""

    seconds: float = 300.0
    messages: int = 2000
    conversations: int = 200

    @property
    def opening(self) -> float:
        """Each conversation begins in a calm: nobody can miss what was said where the bot never was."""
        return min(20.0, self.seconds / 5)


@dataclass(frozen=True, slots=True)
class Plan:
    """`actions` in their order."""

    seed: int
    size: Size
    scenario: Scenario
    actions: tuple[tuple[float, Action], ...]

    @classmethod
    def of(cls, seed: int, size: Size, scenario: Scenario = "storm") -> "Plan":
        """The plan of a seed. What is said does not depend on the scenario."""
        said = list(_said(random.Random(f"{seed} said"), size))  # noqa: S311 - a schedule, no secret
        chance = random.Random(f"{seed} faults")  # noqa: S311
        faults = {"storm": _storm, "store-down": _store_down, "platform-down": _platform_down}[scenario]
        actions = [*said, *faults(chance, size, said)]
        actions.sort(key=lambda timed: timed[0])
        return cls(seed, size, scenario, tuple(actions))

    @property
    def said(self) -> list[Say]:
        """Every message, in the order in which they are written."""
        return [action for _, action in self.actions if isinstance(action, Say)]


_Timed = tuple[float, Action]


def _rooms(count: int) -> Iterator[Room]:
    for platform in PLATFORMS:
        for number in range(max(1, round(count * _ROOMS[platform]))):
            yield Room(platform, f"{platform}{number}", shared=platform != "slack" and number % 3 == 2)


def _said(chance: random.Random, size: Size) -> Iterator[tuple[float, Say]]:
    rooms = list(_rooms(size.conversations))
    times: list[tuple[float, Room]] = [(chance.uniform(0, size.opening), room) for room in rooms]
    for platform in PLATFORMS:
        here = [room for room in rooms if room.platform == platform]
        left = round(size.messages * _MESSAGES[platform]) - len(here)
        while left > 0:
            room, at = chance.choice(here), chance.uniform(size.opening, size.seconds)
            times.append((at, room))
            left -= 1
            while left > 0 and chance.random() < _FOLLOWS_AT_ONCE:
                at += chance.uniform(0.05, 1.0)
                times.append((min(at, size.seconds), room))
                left -= 1
    for number, (at, room) in enumerate(sorted(times, key=lambda timed: timed[0])):
        yield at, Say(number, room, chance.randint(*(_MANY_WORDS if chance.random() < _LONG else _WORDS)))


def _storm(chance: random.Random, size: Size, said: list[tuple[float, Say]]) -> Iterator[_Timed]:
    yield from _kills(chance, size, [*LISTENERS, *WORKERS], _KILL_EVERY, _DOWN)
    yield from _kills(chance, size, [STORE], _STORE_EVERY, _STORE_DOWN)
    for platform in PLATFORMS:
        for at in _moments(chance, size, _BREAK_EVERY[platform]):
            yield at, Break(platform, chance.choice(_CALLS), chance.choice(_FAULTS), chance.randint(1, 3))
        for at in _moments(chance, size, _CUT_EVERY):
            yield at, Cut(platform)
    for at in _moments(chance, size, _REDELIVER_EVERY):
        earlier = [say.number for when, say in said if when < at]
        yield at, Redeliver(chance.choice(earlier[-100:]))


def _kills(
    chance: random.Random, size: Size, targets: list[str], every: float, down: tuple[float, float]
) -> Iterator[_Timed]:
    """Nothing is killed that is not up."""
    up_at = dict.fromkeys(targets, 0.0)
    for at in _moments(chance, size, every):
        target, seconds = chance.choice(targets), chance.uniform(*down)
        if up_at[target] <= at:
            up_at[target] = at + seconds + _STARTING
            yield at, Kill(target, seconds)


def _store_down(chance: random.Random, size: Size, said: list[tuple[float, Say]]) -> Iterator[_Timed]:  # noqa: ARG001
    yield size.seconds / 3, Kill(STORE, min(30.0, size.seconds / 3))


def _platform_down(chance: random.Random, size: Size, said: list[tuple[float, Say]]) -> Iterator[_Timed]:  # noqa: ARG001
    """Each in its turn, a minute long if there is time."""
    length = (size.seconds - size.opening) / 4
    for number, platform in enumerate(PLATFORMS):
        yield size.opening + (number + 0.25) * length * 4 / 3, Outage(platform, min(60.0, length))


def _moments(chance: random.Random, size: Size, every: float) -> Iterator[float]:
    """Moments of the storm, `every` seconds on average, and as irregular as chance makes them."""
    at = size.opening
    while (at := at + chance.expovariate(1 / every)) < size.seconds:
        yield at
