"""Everything but the model: `python -m benchmarks.turns [platforms] [workers]`.

platforms: turns a second and processor time a turn in the bot's own process, on each platform's loopback fake,
beside an echo bot on the same library (benchmarks/bare) in the same run, taking turns. Ours has memory, durability
and delivery on; its store runs `appendfsync always`. The platform with its people is another process, and so is
Redis: what Redis takes is told beside it. At rest one person speaks at a time, with the store on the disk and in
memory, where a sync costs nothing: the difference is the disk's. workers: one listener and 1, 2 and 4 workers with
a model that sleeps. Prints what it finds, and writes it to turns.csv, workers.csv and turns.md, and to turns.png
where there is matplotlib; what an earlier run has measured of other platforms stays there. Linux only.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
import time
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

from benchmarks import turn_results
from benchmarks.bot import Spec
from benchmarks.people import Account, Talk
from benchmarks.processes import bare, cpu_seconds, ours, platform
from benchmarks.server import Server
from benchmarks.turn_results import BARE, IN_MEMORY, OURS, Scaled, Turns
from core.store.client import StoreSettings

PLATFORMS = ("telegram", "discord", "slack")
_IN_MEMORY = "/dev/shm"  # noqa: S108 - a file system in memory, and a folder of our own in it
_WORKER_PLATFORM = "telegram"
_WORKER_AT_ONCE = 8
_WORKER_DELAY = 0.06  # seconds a word: an answer takes about a second
_SYNCS = 200


async def measure_platforms(arguments: argparse.Namespace, found: list[Turns]) -> None:
    """Each bot on each platform in each round. The store in memory is only for the turns at rest."""
    for number in range(1, arguments.rounds + 1):
        for name in arguments.only:
            for bot in (BARE, OURS, IN_MEMORY):
                for each in await _measured(number, name, bot, arguments):
                    found.append(each)
                    print(turn_results.line(each), flush=True)


async def _measured(number: int, name: str, bot: str, arguments: argparse.Namespace) -> list[Turns]:
    found: list[Turns] = []
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(platform(name))
        process, server = await stack.enter_async_context(_bot(bot, place.account))
        await place.talk(Talk(arguments.people, arguments.at_once, arguments.people))
        for at_once in (1,) if bot == IN_MEMORY else (1, arguments.at_once):
            turns = arguments.turns if at_once > 1 else max(2, arguments.turns // 10)
            cpu, store = cpu_seconds(process), await server.counted() if server else None
            heard = await place.talk(Talk(turns, at_once, arguments.people))
            cpu = cpu_seconds(process) - cpu
            spent = await server.counted() - store if server and store else None
            found.append(Turns.of(number, name, bot, at_once, heard, cpu, spent))
    return found


@asynccontextmanager
async def _bot(bot: str, account: Account) -> AsyncIterator[tuple[Process, Server | None]]:
    if bot == BARE:
        async with bare(account) as process:
            yield process, None
        return
    with tempfile.TemporaryDirectory(dir=_IN_MEMORY if bot == IN_MEMORY else None) as folder:
        async with ours(Spec(account=account, data_dir=folder)) as process:
            yield process, Server(StoreSettings(data_dir=Path(folder)))


async def measure_workers(arguments: argparse.Namespace, found: list[Scaled]) -> None:
    """So many workers behind one listener, and twice as many people as they can answer at once."""
    for number in range(1, arguments.rounds + 1):
        for workers in arguments.workers:
            found.append(await _scaled(number, workers, arguments.seconds))
            print(turn_results.line(found[-1]), flush=True)


async def _scaled(number: int, workers: int, seconds: float) -> Scaled:
    at_once = 2 * workers * _WORKER_AT_ONCE
    async with AsyncExitStack() as stack:
        place = await stack.enter_async_context(platform(_WORKER_PLATFORM))
        folder = stack.enter_context(tempfile.TemporaryDirectory())
        listener = Spec(account=place.account, data_dir=folder, role="listen")
        worker = Spec(
            account=place.account,
            data_dir=folder,
            role="work",
            delay=_WORKER_DELAY,
            concurrency=_WORKER_AT_ONCE,
        )
        for spec in (listener, *[worker] * workers):
            await stack.enter_async_context(ours(spec))
        await place.talk(Talk(at_once, at_once, 2 * at_once))
        heard = await place.talk(Talk(max(at_once, int(seconds * at_once / 2)), at_once, 2 * at_once))
    return Scaled(number, workers, len(heard.latencies), heard.steady)


def sync_seconds(folder: str | None = None) -> float:
    """What it takes to have a line more of a file on the disk: the median of some."""
    took: list[float] = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(_SYNCS):
            begun = time.perf_counter()
            file.write(b"x" * 500)
            os.fdatasync(file.fileno())
            took.append(time.perf_counter() - begun)
    return statistics.median(took)


async def main(arguments: argparse.Namespace) -> None:
    sync = await asyncio.to_thread(sync_seconds)
    print(f"a sync of the disk takes {1000 * sync:.2f} ms")
    commands = arguments.commands or ("platforms", "workers")
    turns: list[Turns] = []
    scaled: list[Scaled] = []
    try:
        if "platforms" in commands:
            await measure_platforms(arguments, turns)
        if "workers" in commands:
            await measure_workers(arguments, scaled)
    finally:  # also what was measured until something broke, or somebody had no more time
        turn_results.write(arguments.results, turns, scaled, sync)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.turns",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("commands", nargs="*", metavar="command", help="platforms, workers; else both")
    parser.add_argument("--only", nargs="+", choices=PLATFORMS, default=PLATFORMS, help="these platforms")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--turns", type=int, default=1000, help="with many at once; a tenth of it at rest")
    parser.add_argument("--at-once", type=int, default=32, help="how many people wait for an answer at any time")
    parser.add_argument("--people", type=int, default=200, help="who take turns")
    parser.add_argument("--workers", type=int, nargs="+", default=(1, 2, 4))
    parser.add_argument("--seconds", type=float, default=10.0, help="about how long each number of workers works")
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.commands) - {"platforms", "workers"}:
        parser.error(f"{min(unknown)!r} is neither platforms nor workers")
    return parsed


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1:])))
