"""Any order of steps, losses, pauses and crashes of several workers, on a real server: the road of a turn.

A worker writes and shows its reply piece by piece, as an answer and an adapter do it together: record what the
room is about to show, ask the platform, record the platform's id. Between any two of these it may crash, or be
paused beyond its lease; requests to the store, answers to them, and answers of the platform may be lost;
the server may be killed. In the end each message is answered once and in order, memory holds what stands in the
room, and nothing is left behind.
"""

import asyncio
import time
from collections.abc import Coroutine, Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, TypeVar

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from redis import Redis

from core.errors import LeaseLost
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.keys import Keys
from core.store.scripts import ScriptName
from core.store.store import Store, open_store
from core.turns import Conversation, Event, key_of
from tests.core.store.events import ROOM, an_event, two_turns
from tests.core.store.lossy import Lossy, lossy
from tests.core.store.servers import RedisServer, until
from tests.core.store.steps import PATIENCE

T = TypeVar("T")
Loss = Literal["none", "request", "answer"]
Choice = Literal["same part", "next part", "complete"]

PLACES = [Conversation.of(ROOM, f"machine {number}") for number in range(2)]
LEASE = 600.0  # it ends when the machine says so
LEFT = {b"fence", b"done", b"last", b"window", b"ended"}
"""What an idle conversation's hash holds."""

_LET_TIME_PASS = """
if redis.call('HEXISTS', KEYS[1], 'own') == 1 then redis.call('HSET', KEYS[1], 'until', 0) end
local entry = redis.call('HGET', KEYS[1], 'entry')
if entry then redis.pcall('XCLAIM', KEYS[2], 'workers', 'worker', 0, entry, 'IDLE', ARGV[1], 'JUSTID') end
return 1
"""


class Platform:
    """A room in which a message has a key: sent again, it is the same message."""

    def __init__(self) -> None:
        self.texts: dict[str, str] = {}
        self._events: dict[str, str] = {}

    def send(self, event: Event, key: str, text: str) -> str:
        self.texts.setdefault(key, text)
        self._events[key] = event.id
        return key

    def edit(self, message: str, text: str) -> None:
        assert message in self.texts
        self.texts[message] = text

    def replies(self) -> dict[str, str]:
        """What stands under each event, in the order in which it was begun."""
        replies: dict[str, str] = {}
        for message, text in self.texts.items():
            replies[self._events[message]] = replies.get(self._events[message], "") + text
        return replies


@dataclass(eq=False, repr=False)
class Worker:
    """One process, and what it has in its hands."""

    store: Store
    way: Lossy
    claim: Claim | None = None
    to_ask: bool = False
    """The last part is recorded, and the platform must be asked to show it."""
    unsure: bool = False
    """Whether the room shows the last part is not known."""
    message: str | None = None
    """What the platform called the last part, not recorded yet."""

    def drop(self) -> None:
        self.claim, self.to_ask, self.unsure, self.message = None, False, False, None

    @property
    def held(self) -> Claim:
        assert self.claim is not None
        return self.claim


@dataclass(eq=False, repr=False)
class World:
    """What outlives an example: a server, and three processes on it."""

    loop: asyncio.AbstractEventLoop
    server: RedisServer
    workers: list[Worker] = field(default_factory=list)
    ready: asyncio.Event = field(default_factory=asyncio.Event)
    leave: asyncio.Event = field(default_factory=asyncio.Event)

    async def live(self, folder: Path) -> None:
        async with AsyncExitStack() as stack:
            for number in range(3):
                home = folder / str(number)
                home.mkdir()
                way, url = await stack.enter_async_context(lossy(home, self.server.url))
                store_settings = StoreSettings(url=url, data_dir=home)
                store = await stack.enter_async_context(open_store(store_settings, lease=LEASE))
                self.workers.append(Worker(store, way))
            self.ready.set()
            await self.leave.wait()

    def do(self, coroutine: Coroutine[Any, Any, T]) -> T:
        return self.loop.run_until_complete(_bounded(coroutine))


async def _bounded(coroutine: Coroutine[Any, Any, T]) -> T:
    async with asyncio.timeout(20):
        return await coroutine


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with RedisServer() as server, asyncio.Runner(debug=True) as runner:
        world = World(runner.get_loop(), server)
        living = world.loop.create_task(world.live(tmp_path))
        world.do(world.ready.wait())
        yield world
        world.leave.set()
        world.loop.run_until_complete(living)


class Turns:
    """What should be true of the store now, and everything that may happen to it next."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.platform = Platform()
        self.keys = Keys(16)
        self.events: dict[Conversation, list[Event]] = {place: [] for place in PLACES}
        self.answered: dict[Conversation, list[str]] = {place: [] for place in PLACES}
        self.holders: dict[Conversation, Claim | None] = dict.fromkeys(PLACES)
        self.leased: set[Conversation] = set()
        self.words = 0
        world.server.ask("FLUSHALL")
        for worker in world.workers:
            worker.drop()

    # What people and platforms do.

    def says(self, place: Conversation, number: int, loss: Loss) -> None:
        event = an_event(f"message {len(self.events[place])}", conversation=place)
        worker = self.world.workers[number]
        with losing(worker, "accept", loss):
            assert self.world.do(worker.store.inbox.accept(event))
        self.events[place].append(event)

    def is_delivered_again(self, place: Conversation, number: int) -> None:
        for event in self.events[place]:
            assert not self.world.do(self.world.workers[number].store.inbox.accept(event))

    # What a worker does.

    def takes(self, number: int, loss: Loss) -> None:
        """What somebody left, or else what is new."""
        if (worker := among(self.idle, number)) is None:
            return
        claims = worker.store.claims
        with losing(worker, "claim", loss):
            taken = self.world.do(claims.take_stale(["web"], 1))
            if not taken and any(map(self.is_anybodys, PLACES)):
                taken = self.world.do(claims.take(["web"], 1, wait=0.1))
        for claim in taken:
            self.has_claimed(worker, claim)

    def goes_on(self, number: int, steps: list[tuple[Choice, Loss]]) -> None:
        """A worker that has something to answer, or finds something, takes the next steps of its turn."""
        if not self.busy:
            self.takes(number, "none")
        worker = among(self.busy, number)
        for choice, loss in steps:
            if worker is not None and worker.claim is not None:
                self.goes_one_step_on(worker, choice, loss)

    def goes_one_step_on(self, worker: Worker, choice: Choice, loss: Loss) -> None:
        claim = worker.held
        if worker.to_ask:
            self.asks_the_platform(worker, is_answered=loss == "none")
        elif worker.message is not None:
            shown = worker.store.claims.shown(claim, len(claim.parts) - 1, worker.message)
            if self.works(worker, "shown", shown, loss):
                worker.message = None
        elif claim.parts and (worker.unsure or claim.parts[-1].message is None):
            self.shows(worker, len(claim.parts) - 1, claim.parts[-1].text, loss)
        elif claim.phase == "answering" and choice == "complete":
            text = written(claim) or "nothing to say"
            turns = two_turns(claim.event, text, last=claim.last)
            complete = worker.store.claims.complete(claim, turns=turns, text=text, window=1)
            self.works(worker, "complete", complete, loss, renews=True)
        elif piece := self.next_piece(worker):
            if choice == "next part" or not claim.parts:
                self.shows(worker, len(claim.parts), piece, loss)
            else:
                self.shows(worker, len(claim.parts) - 1, claim.parts[-1].text + piece, loss)
        elif self.works(worker, "delivered", worker.store.claims.delivered(claim), loss):
            self.answered[claim.conversation].append(claim.event.id)
            self.holders[claim.conversation] = None
            worker.drop()

    def shows(self, worker: Worker, part: int, text: str, loss: Loss) -> None:
        claim = worker.held
        end = sum(len(known.text) for known in claim.parts[:part]) + len(text)
        showing = worker.store.claims.showing(claim, part, text, end, final=False)
        if self.works(worker, "showing", showing, loss, renews=True):
            worker.to_ask, worker.unsure = True, False

    def asks_the_platform(self, worker: Worker, *, is_answered: bool) -> None:
        claim = worker.held
        index, part = len(claim.parts) - 1, claim.parts[-1]
        message = None
        if part.message is not None:
            self.platform.edit(part.message, part.text)
        else:
            key = key_of(claim.conversation, claim.event.id, index)
            message = self.platform.send(claim.event, key, part.text)
        if is_answered:
            worker.to_ask, worker.message = False, message

    def gives_back(self, number: int, loss: Loss) -> None:
        if worker := among(self.busy, number):
            place = worker.held.conversation
            if self.works(worker, "release", worker.store.claims.release(worker.held), loss):
                self.holders[place] = None
                worker.drop()

    def beats(self, number: int, loss: Loss) -> None:
        if worker := among(self.busy, number):
            claim = worker.held
            with losing(worker, "beat", loss):
                self.world.do(worker.store.claims.beat([claim]))
            assert claim.lost == (self.holders[claim.conversation] is not claim)
            if claim.lost:
                worker.drop()
            else:
                self.leased.add(claim.conversation)

    # What goes wrong.

    def crashes(self, number: int) -> None:
        if worker := among(self.busy, number):
            worker.drop()

    def lease_runs_out(self, place: Conversation) -> None:
        """Its holder does not hear of it. By its own clock it begins no call any more, and none is under way."""
        self.let_time_pass(place)
        for worker in self.world.workers:
            if worker.claim is not None and worker.claim.conversation == place and worker.to_ask:
                worker.to_ask, worker.unsure = False, True

    def server_is_killed(self) -> None:
        self.world.server.kill()
        self.world.server.ensure()
        until(lambda: bool(self.world.server.ask("PING")))

    # What must hold.

    def comes_to_rest(self) -> None:
        """All workers die, and one answers what is left. Each message was answered once, then."""
        for worker in self.world.workers:
            worker.drop()
        patience = time.monotonic() + PATIENCE
        while any(len(self.answered[place]) < len(self.events[place]) for place in PLACES):
            assert time.monotonic() < patience, "some are never answered"
            for place in PLACES:
                self.let_time_pass(place)
            while self.answers_one():
                pass
        everything = [event.id for events in self.events.values() for event in events]
        replies = self.platform.replies()
        assert sorted(replies) == sorted(everything)
        for place, events in self.events.items():
            names = [event.id for event in events]
            assert self.answered[place] == names
            assert [name for name in replies if name in names] == names
            turns = self.world.do(self.world.workers[0].store.memory.turns(place, 1000))
            assert [turn.number for turn in turns] == list(range(1, 2 * len(events) + 1))
            assert [turn.text for turn in turns[::2]] == [event.text for event in events]
            assert [turn.text for turn in turns[1::2]] == [replies[name] for name in names]
        self.nothing_is_left_behind(len(everything))

    def nothing_is_left_behind(self, events: int) -> None:
        with Redis.from_url(self.world.server.url) as redis:
            names = {name.decode(): name for name in redis.keys("{trialogue.*")}
            seen = [name for name in names if ":d:" in name]
            assert len(seen) == events
            assert all(redis.ttl(name) > 0 for name in seen)
            for name in names.keys() - set(seen):
                kind = name.partition("}:")[2].partition(":")[0]
                assert kind in ("c", "t", "ready", "ctl"), name
                if kind == "c":
                    assert set(redis.hkeys(name)) <= LEFT
                elif kind != "t":
                    assert redis.xlen(name) == 0
                    assert redis.xpending(name, "workers")["pending"] == 0

    # How all of this is done.

    @property
    def busy(self) -> list[Worker]:
        return [worker for worker in self.world.workers if worker.claim is not None]

    @property
    def idle(self) -> list[Worker]:
        return [worker for worker in self.world.workers if worker.claim is None]

    def works(
        self,
        worker: Worker,
        name: ScriptName,
        step: Coroutine[Any, Any, None],
        loss: Loss,
        *,
        renews: bool = False,
    ) -> bool:
        """Whether a step worked, which it must if and only if nobody else has claimed the conversation since."""
        claim = worker.held
        is_holder = self.holders[claim.conversation] is claim
        try:
            with losing(worker, name, loss):
                self.world.do(step)
        except LeaseLost:
            assert not is_holder
            worker.drop()
            return False
        assert is_holder
        if renews:
            self.leased.add(claim.conversation)
        return True

    def is_anybodys(self, place: Conversation) -> bool:
        """Whether there is something to answer that nobody has a lease for."""
        is_held = self.holders[place] is not None and place in self.leased
        return len(self.answered[place]) < len(self.events[place]) and not is_held

    def has_claimed(self, worker: Worker, claim: Claim) -> None:
        place = claim.conversation
        assert self.is_anybodys(place), "somebody's lease lasts"
        assert claim.event == self.events[place][len(self.answered[place])], "it is not the next one"
        self.holders[place] = worker.claim = claim
        self.leased.add(place)
        worker.unsure = bool(claim.parts)

    def next_piece(self, worker: Worker) -> str:
        """What the room does not show yet; empty once it shows all of the final text."""
        claim = worker.held
        if claim.phase == "delivering":
            return claim.text[len(written(claim)) :]
        self.words += 1
        return f"word{self.words} "

    def let_time_pass(self, place: Conversation) -> None:
        self.leased.discard(place)
        conversation, ready = self.keys.conversation("c", place), self.keys.queue("ready", "web", place)
        self.world.server.ask("EVAL", _LET_TIME_PASS, 2, conversation, ready, int(LEASE * 1000))

    def answers_one(self) -> bool:
        """Whether there was an event left. It is answered to the end, by the first worker."""
        self.takes(0, "none")
        found = bool(self.busy)
        while self.busy:
            self.goes_on(0, [("complete", "none")])
        return found


@contextmanager
def losing(worker: Worker, step: ScriptName, loss: Loss) -> Iterator[None]:
    """While the block lasts, what the worker sends for `step`, or the answer, gets lost once."""
    if loss == "request":
        worker.way.lose_request_of(step)
    elif loss == "answer":
        worker.way.lose_answer_of(step)
    try:
        yield
    finally:
        worker.way.lose_nothing()


def among(workers: list[Worker], number: int) -> Worker | None:
    """One of them, if there is any. What is drawn must not depend on what a real server did."""
    return workers[number % len(workers)] if workers else None


def written(claim: Claim) -> str:
    return "".join(part.text for part in claim.parts)


places, numbers = st.sampled_from(PLACES), st.integers(0, 2)
losses = st.sampled_from(["none", "none", "request", "answer"])
choices = st.sampled_from(["same part", "next part", "complete"])
steps = st.lists(st.tuples(choices, losses), min_size=2, max_size=12)
work = st.tuples(st.just(Turns.goes_on), numbers, steps)
happenings = st.one_of(
    *(work, work, work, work, work, work),
    *[st.tuples(st.just(Turns.lease_runs_out), places)] * 2,
    *[st.tuples(st.just(Turns.takes), numbers, losses)] * 2,
    st.tuples(st.just(Turns.says), places, numbers, losses),
    st.tuples(st.just(Turns.is_delivered_again), places, numbers),
    st.tuples(st.just(Turns.beats), numbers, losses),
    st.tuples(st.just(Turns.gives_back), numbers, losses),
    st.tuples(st.just(Turns.crashes), numbers),
)


@settings(
    max_examples=12,
    deadline=None,
    phases=[Phase.generate],  # a real server does not do the same thing twice: nothing can be made smaller
    suppress_health_check=list(HealthCheck),
)
@given(story=st.lists(happenings, min_size=25, max_size=25), killed_before=st.integers(0, 100))
def test_each_message_is_answered_once_whatever_happens_in_whatever_order(
    world: World, story: list[tuple[Any, ...]], killed_before: int
) -> None:
    turns = Turns(world)
    for place in 3 * PLACES:
        turns.says(place, 0, "none")
    for number, (happens, *how) in enumerate(story):
        if number == killed_before:
            turns.server_is_killed()
        happens(turns, *how)
    turns.comes_to_rest()
