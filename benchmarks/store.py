"""What a turn costs in the store: scripts, round trips and time, with few and with many idle conversations.

    python -m benchmarks.store                      the embedded server, in a folder that is removed afterwards
    python -m benchmarks.store --url redis://...    a server that is EMPTIED before each measurement

A turn here is everything but the model and the platform: accept, claim, two changes of the room, complete and
delivered; one at a time, and 64 at once.
"""

import argparse
import asyncio
import statistics
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.records import Records
from core.store.store import Store, open_store
from core.turns import Conversation, Event, Room, Speaker, Turn

ROOM = Room("bench", "bot", {})
ANN = Speaker("ann", "Ann")
TEXT = "what a person says, or is told, in about as many words as these are"
IDLE_TURNS = 6
_SENT = ("evalsha", "eval", "xreadgroup", "waitaof", "wait")
_PAGE = 500


@dataclass(frozen=True, slots=True)
class Counted:
    """What a server has been asked so far: calls that clients sent, and reads from their connections."""

    calls: int
    reads: int

    @classmethod
    async def now(cls, store: Store) -> "Counted":
        commands: dict[str, Any] = await store.client.read(lambda redis: redis.info("commandstats"))
        stats: dict[str, Any] = await store.client.read(lambda redis: redis.info("stats"))
        calls = sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in _SENT)
        return cls(calls, stats["total_reads_processed"])


async def fill(store: Store, conversations: int) -> None:
    """Conversations that were answered a few times and are idle now."""
    keys = store.client.keys
    turns = [Records().encode(Turn(number=i + 1, role="user", text=TEXT, speaker=ANN)) for i in range(IDLE_TURNS)]
    state = {"fence": 3, "done": 3, "last": IDLE_TURNS, "window": 1, "ended": "a-token-of-16-chr"}
    for start in range(0, conversations, _PAGE):

        async def write(redis: Any, start: int = start) -> None:
            pipeline = redis.pipeline(transaction=False)
            for number in range(start, min(start + _PAGE, conversations)):
                idle = Conversation.of(ROOM, f"idle {number}")
                pipeline.rpush(keys.conversation("t", idle), *turns)
                pipeline.hset(keys.conversation("c", idle), mapping=state)
            await pipeline.execute()

        await store.client.read(write)


async def answer(store: Store, claim: Claim) -> None:
    claims, half = store.claims, len(TEXT) // 2
    await claims.showing(claim, 0, TEXT[:half], half, final=False)
    await claims.shown(claim, 0, "message")
    asked = Turn(number=claim.last + 1, role="user", text=TEXT, speaker=ANN, event=claim.event.id)
    answered = Turn(number=claim.last + 2, role="assistant", text=TEXT, event=claim.event.id)
    await claims.complete(claim, turns=(asked, answered), text=TEXT, window=max(1, claim.last - 20))
    await claims.showing(claim, 0, TEXT, len(TEXT), final=True)
    await claims.delivered(claim)


async def measure(store: Store, turns: int, at_once: int) -> str:
    """`turns` turns, `at_once` people at a time: each says something when the last thing was answered."""
    first = time.monotonic_ns()  # no event has the id of an earlier one
    waiting: dict[str, asyncio.Future[None]] = {}
    seconds: list[float] = []

    async def talk(person: int) -> None:
        place = Conversation.of(ROOM, f"person {person}")
        for number in range(turns // at_once):
            name = f"bench/{first}/{person}/{number}"
            waiting[name] = asyncio.get_running_loop().create_future()
            begun = time.perf_counter()
            await store.inbox.accept(Event(id=name, room=ROOM, conversation=place, speaker=ANN, text=TEXT))
            await waiting[name]
            seconds.append(time.perf_counter() - begun)

    async def handle(claim: Claim) -> None:
        await answer(store, claim)
        waiting.pop(claim.event.id).set_result(None)

    async def work(group: asyncio.TaskGroup) -> None:
        while True:
            for claim in await store.claims.take([ROOM.platform], at_once, wait=1.0):
                group.create_task(handle(claim))

    before, begun = await Counted.now(store), time.perf_counter()
    async with asyncio.TaskGroup() as group:
        working = group.create_task(work(group))
        async with asyncio.TaskGroup() as people:
            for person in range(at_once):
                people.create_task(talk(person))
        working.cancel()
    elapsed, after = time.perf_counter() - begun, await Counted.now(store)
    return _line(seconds, elapsed, before, after)


def _line(seconds: Sequence[float], elapsed: float, before: Counted, after: Counted) -> str:
    ordered, count = sorted(seconds), len(seconds)
    return (
        f"p50 {statistics.median(ordered) * 1000:6.2f} ms   p99 {ordered[count * 99 // 100] * 1000:6.2f} ms"
        f"   {count / elapsed:6.0f} turns/s"
        f"   a turn: {(after.calls - before.calls) / count:4.1f} calls"
        f", {(after.reads - before.reads) / count:4.1f} round trips"
    )


async def main(url: str, turns: int, sizes: Sequence[int]) -> None:
    with tempfile.TemporaryDirectory() as folder:
        for size in sizes:
            settings = StoreSettings(url=url, data_dir=Path(folder) / str(size))
            async with open_store(settings) as store:
                if url != "embedded":
                    await store.client.read(lambda redis: redis.flushall())
                await fill(store, size)
                for at_once in (1, 64):
                    await measure(store, 4 * at_once, at_once)  # to warm up
                    print(f"{size:>9,} idle, {at_once:>2} at once:  {await measure(store, turns, at_once)}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--url", default="embedded", help="redis://host:port, or the like")
    parser.add_argument("--turns", type=int, default=2000, help="in each measurement")
    parser.add_argument("--idle", type=int, nargs="*", default=[10, 100_000], help="how many conversations")
    arguments = parser.parse_args()
    asyncio.run(main(arguments.url, arguments.turns, arguments.idle))
