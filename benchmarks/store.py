"""What a turn costs in the store, with few and with many idle conversations: `python -m benchmarks.store`.

    python -m benchmarks.store                      the embedded server, in a folder that is removed afterwards
    python -m benchmarks.store passes               only exports, and the forgetting of a person
    python -m benchmarks.store --url redis://...    a server that is EMPTIED before each measurement

A turn here is everything but the model and the platform: accept, claim, two changes of the room, complete and
delivered, with a heartbeat in the middle; one at a time, and 64 at once. Each step is timed for itself. The idle
conversations have six turns of people's lengths each, and lie as the store's own steps leave them. A million of
them take about 2.5 GB of memory and as much disk. The passes are what an operator asks of all that is kept: an
export of it, one of somebody who is in 64 conversations, and to forget them, with the rewriting of the append-only
file after that. Prints what it finds, and writes it to store.csv, idle.csv, passes.csv and store.md; what an
earlier run has measured of another kind, or with other numbers of conversations, stays there.
"""

import argparse
import asyncio
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from itertools import product
from pathlib import Path
from typing import Any

from benchmarks import passes, store_results
from benchmarks.server import Counted
from benchmarks.store_results import Filled, Passed, Step
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.forget import Person
from core.store.records import Records
from core.store.store import Store, open_store
from core.turns import Conversation, Event, Room, Speaker, Turn

ROOM = Room("bench", "bot", {})
ANN = Speaker("ann", "Ann")
TEXT = "what a person says, or is told, in about as many words as these are"
IDLE_TURNS = 6
_HISTORIES = 50  # different ones
_MEAN, _SPREAD = 5.4, 0.9  # of the logarithm of a text's length, so that the mean is about 330 bytes
_PAGE = 20_000
_TALKS = 64  # conversations of the one who is forgotten

# Conversations as the store's own steps leave them. KEYS: memory and state of each; ARGV: how many turns a history
# has, and the turns of one history after another.
_FILL = """
local turns = tonumber(ARGV[1])
local histories = (#ARGV - 1) / turns
for i = 1, #KEYS, 2 do
  local first = 2 + ((i - 1) / 2) % histories * turns
  redis.call('RPUSH', KEYS[i], unpack(ARGV, first, first + turns - 1))
  redis.call('HSET', KEYS[i + 1],
    'fence', '3', 'done', '3', 'last', ARGV[1], 'window', '1', 'ended', '16-chars-of-token')
end
"""


class Stopwatch:
    """How long each step took, in seconds."""

    def __init__(self) -> None:
        self.seconds: defaultdict[str, list[float]] = defaultdict(list)

    @contextmanager
    def __call__(self, step: str) -> Iterator[None]:
        begun = time.perf_counter()
        yield
        self.seconds[step].append(time.perf_counter() - begun)


async def fill(store: Store, conversations: int) -> None:
    """Conversations that were answered a few times and are idle now."""
    keys, chance = store.client.keys, random.Random(1)  # noqa: S311 - the same lengths in each run
    histories = [turn for number in range(_HISTORIES) for turn in _history(chance, Speaker(f"{number:03}", "Bob"))]
    for start in range(0, conversations, _PAGE):
        shards: defaultdict[str, list[str]] = defaultdict(list)
        for number in range(start, min(start + _PAGE, conversations)):
            idle = Conversation.of(ROOM, f"idle {number}")
            shards[keys.tag(idle.place)] += (keys.conversation("t", idle), keys.conversation("c", idle))

        async def write(redis: Any, shards: Any = shards) -> None:
            for names in shards.values():
                await redis.eval(_FILL, len(names), *names, IDLE_TURNS, *histories)

        await store.client.read(write)


def _history(chance: random.Random, speaker: Speaker) -> list[bytes]:
    lengths = (min(4000, max(1, int(chance.lognormvariate(_MEAN, _SPREAD)))) for _ in range(IDLE_TURNS))
    turns = (Turn(number=i + 1, role="user", text=_text(size), speaker=speaker) for i, size in enumerate(lengths))
    return [Records().encode(turn) for turn in turns]


def _text(size: int) -> str:
    return (f"{TEXT} " * (size // len(TEXT) + 1))[:size]


async def answer(store: Store, claim: Claim, timed: Stopwatch) -> None:
    claims, half = store.claims, len(TEXT) // 2
    with timed("showing"):
        await claims.showing(claim, 0, TEXT[:half], half, final=False)
    with timed("shown"):
        await claims.shown(claim, 0, "message")
    with timed("heartbeat"):
        await claims.beat([claim])
    asked = Turn(number=claim.last + 1, role="user", text=TEXT, speaker=ANN, event=claim.event.id)
    answered = Turn(number=claim.last + 2, role="assistant", text=TEXT, event=claim.event.id)
    with timed("complete"):
        await claims.complete(claim, turns=(asked, answered), text=TEXT, window=max(1, claim.last - 20))
    with timed("showing, the last"):
        await claims.showing(claim, 0, TEXT, len(TEXT), final=True)
    with timed("delivered"):
        await claims.delivered(claim)


async def talk(store: Store, turns: int, at_once: int) -> tuple[Stopwatch, float]:
    """`turns` turns, `at_once` people at a time: each says something when the last thing was answered. Returns how
    long each step took, and all of it."""
    first = time.monotonic_ns()  # no event has the id of an earlier one
    waiting: dict[str, asyncio.Future[None]] = {}
    accepted: dict[str, float] = {}
    timed = Stopwatch()

    async def say(person: int) -> None:
        place = Conversation.of(ROOM, f"person {person}")
        for number in range(turns // at_once):
            name = f"bench/{first}/{person}/{number}"
            waiting[name] = asyncio.get_running_loop().create_future()
            with timed("the whole turn"):
                with timed("accept"):
                    await store.inbox.accept(Event(id=name, room=ROOM, conversation=place, speaker=ANN, text=TEXT))
                accepted[name] = time.perf_counter()
                await waiting[name]

    async def handle(claim: Claim) -> None:
        claimed = time.perf_counter()
        # It may be claimed before the answer to its accept is here.
        timed.seconds["claim, from accepted on"].append(claimed - accepted.pop(claim.event.id, claimed))
        await answer(store, claim, timed)
        waiting.pop(claim.event.id).set_result(None)

    async def work(group: asyncio.TaskGroup) -> None:
        while True:
            for claim in await store.claims.take([ROOM.platform], at_once, wait=1.0):
                group.create_task(handle(claim))

    begun = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work(group))
        async with asyncio.TaskGroup() as people:
            for person in range(at_once):
                people.create_task(say(person))
        working.cancel()
    return timed, time.perf_counter() - begun


async def measure_turns(
    number: int, settings: StoreSettings, idle: int, arguments: argparse.Namespace
) -> tuple[Filled, list[Step]]:
    """With so many idle conversations: what they take, and what each step takes beside them."""
    async with _emptied(settings) as store:
        before, begun = await _memory(store), time.perf_counter()
        async with _unrewritten(store):
            await fill(store, idle)
        filled, held = time.perf_counter() - begun, await _memory(store)
        steps: list[Step] = []
        for at_once in arguments.at_once:
            await talk(store, 4 * at_once, at_once)  # to warm up
            counted = await Counted.of(store)
            timed, seconds = await talk(store, max(arguments.turns, 2 * at_once), at_once)
            spent = await Counted.of(store) - counted
            turns = len(timed.seconds["accept"])
            steps += (Step.of(number, idle, at_once, name, took) for name, took in timed.seconds.items())
            print(store_results.line(steps[-1], turns / seconds, spent, turns), flush=True)
        server: dict[str, Any] = await store.client.read(lambda redis: redis.info("server"))
        if settings.url == "embedded":
            os.kill(server["process_id"], signal.SIGKILL)
    restart = await _restart(settings) if settings.url == "embedded" else 0.0
    used, rss = held["used_memory"], held["used_memory_rss"]
    return Filled(number, idle, (used - before["used_memory"]) / max(1, idle), used, rss, filled, restart), steps


async def measure_passes(number: int, settings: StoreSettings, idle: int) -> Passed:
    """What goes through so many idle conversations, and those of a person who talks in some more."""
    async with _emptied(settings) as store:
        async with _unrewritten(store):
            await fill(store, idle)
        await talk(store, 4 * _TALKS, _TALKS)
        return await passes.measure(number, store, idle, Person(ROOM.platform, ANN.id))


@asynccontextmanager
async def _emptied(settings: StoreSettings) -> AsyncIterator[Store]:
    async with open_store(settings) as store:
        if settings.url != "embedded":
            await store.client.read(lambda redis: redis.flushall())
        yield store


async def _memory(store: Store) -> dict[str, int]:
    found: dict[str, int] = await store.client.read(lambda redis: redis.info("memory"))
    return found


@asynccontextmanager
async def _unrewritten(store: Store) -> AsyncIterator[None]:
    """While the block lasts the server does not rewrite its append-only file by itself, but once at the end: so
    that no rewriting falls into what is measured."""
    await store.client.ask("CONFIG", "SET", "auto-aof-rewrite-percentage", 0, key="")
    yield
    await store.client.ask("BGREWRITEAOF", key="")
    while True:
        state: dict[str, Any] = await store.client.read(lambda redis: redis.info("persistence"))
        if not (state["aof_rewrite_in_progress"] or state["aof_rewrite_scheduled"]):
            break
        await asyncio.sleep(0.2)
    await asyncio.to_thread(os.sync)  # nor what the kernel has still to write of it


async def _restart(settings: StoreSettings) -> float:
    """How long it takes after a kill until the store answers with all that it had."""
    begun = time.perf_counter()
    async with open_store(settings) as store:
        await store.ping()
        return time.perf_counter() - begun


async def main(arguments: argparse.Namespace) -> None:
    commands = arguments.commands or ("turns", "passes")
    filled: list[Filled] = []
    steps: list[Step] = []
    passed: list[Passed] = []
    with tempfile.TemporaryDirectory() as folder:
        for number, idle in product(range(1, arguments.rounds + 1), arguments.idle):
            settings = StoreSettings(url=arguments.url, data_dir=Path(folder) / str(idle))
            if "turns" in commands:
                found, each = await measure_turns(number, settings, idle, arguments)
                print(store_results.line_of(found), flush=True)
                filled.append(found)
                steps += each
                shutil.rmtree(settings.data_dir, ignore_errors=True)
            if "passes" in commands:
                passed.append(await measure_passes(number, settings, idle))
                print(store_results.line_of_passes(passed[-1]), flush=True)
                shutil.rmtree(settings.data_dir, ignore_errors=True)
    store_results.write(arguments.results, filled, steps, passed)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.store",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("commands", nargs="*", metavar="command", help="turns, passes; else both")
    parser.add_argument("--url", default="embedded", help="redis://host:port, or the like")
    parser.add_argument("--turns", type=int, default=2000, help="in each measurement")
    parser.add_argument("--at-once", type=int, nargs="+", default=(1, 64), help="how many people talk at once")
    parser.add_argument(
        "--idle", type=int, nargs="+", default=(1_000, 100_000, 1_000_000), help="how many conversations"
    )
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.commands) - {"turns", "passes"}:
        parser.error(f"{min(unknown)!r} is neither turns nor passes")
    return parsed


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1:])))
