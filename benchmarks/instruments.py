"""What the instruments cost: `python -m benchmarks.instruments`.

Processor time a turn in the bot's own process on a platform's loopback fake, without instruments, with metrics (as
every bot has them) and with traces besides, which a receiver on loopback takes. The bots run side by side and take
turns in each round, in another order each time; what is compared is the same round's. Prints what it finds, and
writes it to instruments.csv and instruments.md. Linux only.
"""

import argparse
import asyncio
import os
import statistics
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, get_args

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from benchmarks.bot import Spec
from benchmarks.kept import with_earlier
from benchmarks.machine import describe
from benchmarks.people import Talk
from benchmarks.processes import Platform, cpu_seconds, ours, platform
from bots.http.server import serve

Watched = Literal["none", "metrics", "traces"]

GOAL = 0.03
"""The most that they may cost, as a share of a turn's processor time."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Seconds of processor time a turn, of `turns` turns; `load` is the machine's, a minute's average."""

    platform: str
    round: int
    watched: str
    cpu: float
    turns: int
    load: float


async def measure(arguments: argparse.Namespace) -> list[Cost]:
    found: list[Cost] = []
    kinds: tuple[Watched, ...] = get_args(Watched)
    async with AsyncExitStack() as stack:
        url = await stack.enter_async_context(_receiver())
        bots = {}
        for watched in kinds:
            place: Platform = await stack.enter_async_context(platform(arguments.platform))
            folder = stack.enter_context(tempfile.TemporaryDirectory())
            spec = Spec(account=place.account, data_dir=folder, instruments=watched, otlp_url=url)
            bots[watched] = place, await stack.enter_async_context(ours(spec))
            await place.talk(Talk(arguments.turns, arguments.at_once, arguments.people))  # warm
        for number in range(1, arguments.rounds + 1):
            for offset in range(len(kinds)):
                watched = kinds[(number + offset) % len(kinds)]
                place, process = bots[watched]
                before = cpu_seconds(process)
                await place.talk(Talk(arguments.turns, arguments.at_once, arguments.people))
                cpu = (cpu_seconds(process) - before) / arguments.turns
                cost = Cost(arguments.platform, number, watched, cpu, arguments.turns, os.getloadavg()[0])
                found.append(cost)
                print(f"round {number}, {watched}: {1e6 * cpu:,.0f} us a turn", flush=True)
    return found


@asynccontextmanager
async def _receiver() -> AsyncIterator[str]:
    """Takes spans and forgets them."""

    async def take(request: Request) -> Response:
        await request.body()
        return Response(media_type="application/x-protobuf")

    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        routes = [Route("/v1/traces", take, methods=["POST"])]
        task = group.create_task(serve(routes, "127.0.0.1", 0, ready=url.set_result))
        try:
            yield await url
        finally:
            task.cancel()


def shares(costs: Sequence[Cost], watched: str) -> list[float]:
    """By how much more than nothing it costs, in each round."""
    rounds = {(cost.platform, cost.round): cost.cpu for cost in costs if cost.watched == "none"}
    return [
        cost.cpu / rounds[cost.platform, cost.round] - 1
        for cost in costs
        if cost.watched == watched and rounds.get((cost.platform, cost.round))
    ]


def report(costs: Sequence[Cost]) -> str:
    lines = ["# What the instruments cost", ""]
    lines += [f"- {line}" for line in describe(("prometheus-client", "opentelemetry-sdk", "structlog", "uvloop"))]
    loads = [cost.load for cost in costs]
    lines += [
        f"- the machine's load was {min(loads):.1f} to {max(loads):.1f}",
        "- `share`: of a round's processor time without instruments, how much more it is with them; the median of",
        "  the rounds, and the quartiles",
        "",
        "| platform | instruments | CPU of a turn, us | share | quartiles | rounds | turns a round |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, watched in dict.fromkeys((cost.platform, cost.watched) for cost in costs):
        own = [cost for cost in costs if cost.platform == name]
        of = [cost for cost in own if cost.watched == watched]
        median = 1e6 * statistics.median(cost.cpu for cost in of)
        share, quartiles = "-", "-"
        if watched != "none" and len(values := shares(own, watched)) > 1:
            low, middle, high = statistics.quantiles(values, n=4)
            share, quartiles = f"{100 * middle:+.1f} %", f"{100 * low:+.1f} to {100 * high:+.1f} %"
        lines.append(f"| {name} | {watched} | {median:,.0f} | {share} | {quartiles} | {len(of)} | {of[0].turns} |")
    return "\n".join(lines) + "\n"


async def main(arguments: argparse.Namespace) -> None:
    costs = await measure(arguments)
    every = with_earlier(arguments.results / "instruments.csv", Cost, costs, "platform")
    text = report(every)
    (arguments.results / "instruments.md").write_text(text)
    print(text)


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.instruments",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--platform", choices=("telegram", "discord", "slack"), default="telegram")
    parser.add_argument("--rounds", type=int, default=15)
    parser.add_argument("--turns", type=int, default=300)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1:])))
