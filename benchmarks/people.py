"""A platform on loopback and the people on it, in a process of its own: `python -m benchmarks.people PLATFORM`.

It says on its first line of output how a bot gets in (`Account`). Each line of input is a `Talk` to have, and each
further line of output is what came of it (`Heard`), both as JSON; before that, where it is asked for, a line for
each answer (`One`). It ends with its input. Who answers, and how, it
does not know: an answer is a message of the bot that ends as the question does.
"""

import asyncio
import itertools
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import AsyncExitStack
from typing import Protocol, Self

import msgspec

from tests.fakes.discord import FakeDiscord
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT
from tests.fakes.telegram import FakeTelegram

_WORDS = "what a person says or is told in about as many words as these are"
_PATIENCE = 60.0


class Account(msgspec.Struct, frozen=True, kw_only=True):
    """How a bot gets in. Which of these a platform has is its own matter."""

    platform: str
    token: str
    api_base: str
    app_token: str = ""
    gateway_url: str = ""

    @classmethod
    def read(cls, text: str) -> Self:
        return msgspec.json.decode(text, type=cls)


class Talk(msgspec.Struct, frozen=True):
    """So many `turns` with `people`, who take turns; `at_once` of them wait for an answer at any time. What they
    say is in `texts`, one after the other, or always the same. `each`: each answer is told of when it is there."""

    turns: int
    at_once: int
    people: int
    texts: tuple[str, ...] = ()
    each: bool = False


class One(msgspec.Struct, frozen=True, tag=True):
    """An answer stands in its room, so many seconds after its question."""

    seconds: float


class Heard(msgspec.Struct, frozen=True, tag=True):
    """`latencies` are the seconds from each question to the moment when its whole answer stands in the room,
    `seconds` what all took, and `requests` how often the bot called the platform. `steady` is how many answers
    came a second while there was always a next question: without the end, when fewer and fewer people wait."""

    latencies: list[float]
    seconds: float
    requests: int
    steady: float


class Town(Protocol):
    """One platform with its people."""

    @property
    def account(self) -> Account: ...

    @property
    def requests(self) -> int:
        """How often the bot has called so far, asking for news not counted."""
        ...

    async def connected(self) -> None:
        """Return when somebody listens."""
        ...

    async def say(self, text: str, person: str) -> None: ...

    def last(self, person: str) -> str:
        """The last message in the person's room with the bot."""
        ...

    async def until(self, predicate: Callable[[], bool]) -> None:
        """Ask `predicate` at each change until it holds."""
        ...


class Telegram:
    def __init__(self, fake: FakeTelegram) -> None:
        self._fake = fake

    @property
    def account(self) -> Account:
        return Account(platform="telegram", token=self._fake.token, api_base=self._fake.api_base)

    @property
    def requests(self) -> int:
        return sum(call.method != "getUpdates" for call in self._fake.journal)

    async def connected(self) -> None:
        """What is said before waits."""

    async def say(self, text: str, person: str) -> None:
        await self._fake.say(text, person=person)

    def last(self, person: str) -> str:
        messages = self._fake.chat(person).messages
        return str(messages[next(reversed(messages))]["text"])

    async def until(self, predicate: Callable[[], bool]) -> None:
        await self._fake.until(predicate, within=_PATIENCE)


class Discord:
    def __init__(self, fake: FakeDiscord) -> None:
        self._fake = fake

    @property
    def account(self) -> Account:
        fake = self._fake
        return Account(platform="discord", token=fake.token, api_base=fake.api_base, gateway_url=fake.gateway_url)

    @property
    def requests(self) -> int:
        return len(self._fake.journal)

    async def connected(self) -> None:
        await self._fake.until_connected()

    async def say(self, text: str, person: str) -> None:
        self._fake.say(text, person=person)

    def last(self, person: str) -> str:
        return self._fake.world.direct(person).messages[-1].content

    async def until(self, predicate: Callable[[], bool]) -> None:
        await self._fake.until(predicate, within=_PATIENCE)


class Slack:
    def __init__(self, fake: FakeSlack) -> None:
        self._fake = fake

    @property
    def account(self) -> Account:
        fake = self._fake
        return Account(platform="slack", token=fake.bot_token, api_base=fake.api_base, app_token=fake.app_token)

    @property
    def requests(self) -> int:
        return len(self._fake.journal)

    async def connected(self) -> None:
        await self._fake.connected()

    async def say(self, text: str, person: str) -> None:
        await self._fake.say(text, person=person)

    def last(self, person: str) -> str:
        messages = self._fake.direct(person).messages
        message = messages[next(reversed(messages))]
        if message.get("user") == BOT and message.get("blocks"):
            return str(message["blocks"][0]["text"])
        return str(message["text"])

    async def until(self, predicate: Callable[[], bool]) -> None:
        await self._fake.until(predicate, within=_PATIENCE)


class People:
    """Everybody in a town, and what they wait for."""

    def __init__(self, town: Town) -> None:
        self._town = town
        self._numbers = itertools.count()
        self._waiting: dict[str, tuple[str, asyncio.Future[float]]] = {}
        self._answered: list[float] = []
        self._last_question = 0.0

    async def have(self, talk: Talk) -> Heard:
        """Raises AssertionError when an answer does not come."""
        await self._town.connected()
        latencies: list[float] = []
        turns = iter(range(talk.turns))  # of all lanes together
        requests, begun = self._town.requests, time.perf_counter()
        self._answered.clear()
        async with asyncio.TaskGroup() as group:
            watching = group.create_task(self._watch())
            async with asyncio.TaskGroup() as lanes:
                for lane in range(talk.at_once):
                    # People of its own: nobody asks again before the answer is there.
                    own = range(lane, max(talk.people, talk.at_once), talk.at_once)
                    lanes.create_task(self._ask(turns, own, latencies, talk))
            watching.cancel()
        asking = self._last_question - begun
        steady = sum(at <= self._last_question for at in self._answered) / asking if asking else 0.0
        return Heard(latencies, time.perf_counter() - begun, self._town.requests - requests, steady)

    async def _ask(self, turns: Iterator[int], people: Sequence[int], latencies: list[float], talk: Talk) -> None:
        texts = talk.texts or (_WORDS,)
        for who, turn in zip(itertools.cycle(people), turns, strict=False):
            number, person = next(self._numbers), f"person{who}"
            answered: asyncio.Future[float] = asyncio.get_running_loop().create_future()
            self._waiting[person] = str(number), answered
            asked = self._last_question = time.perf_counter()
            await self._town.say(f"{texts[turn % len(texts)]} {number}", person)
            self._answered.append(await answered)
            latencies.append(self._answered[-1] - asked)
            if talk.each:
                _tell(One(latencies[-1]))

    async def _watch(self) -> None:
        while True:
            await self._town.until(self._is_any_answered)

    def _is_any_answered(self) -> bool:
        answered = [person for person, (end, _) in self._waiting.items() if self._is_answered(person, end)]
        for person in answered:
            self._waiting.pop(person)[1].set_result(time.perf_counter())
        return bool(answered)

    def _is_answered(self, person: str, end: str) -> bool:
        last = self._town.last(person).rstrip()
        return last.startswith("You said") and last.endswith(f" {end}")


async def open_town(platform: str, stack: AsyncExitStack) -> Town:
    match platform:
        case "telegram":
            return Telegram(await stack.enter_async_context(FakeTelegram()))
        case "discord":
            return Discord(await stack.enter_async_context(FakeDiscord()))
        case "slack":
            return Slack(await stack.enter_async_context(FakeSlack()))
        case _:
            raise ValueError(f"there is no platform {platform!r}")


async def main(platform: str) -> None:
    async with AsyncExitStack() as stack:
        town = await open_town(platform, stack)
        people = People(town)
        _tell(town.account)
        while line := await asyncio.to_thread(sys.stdin.readline):
            _tell(await people.have(msgspec.json.decode(line, type=Talk)))


def _tell(what: msgspec.Struct) -> None:
    print(msgspec.json.encode(what).decode(), flush=True)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1]))
