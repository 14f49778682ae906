"""What the instruments cost: `python -m benchmarks.instruments`.

Processor time a turn in the bot's own process on a platform's loopback fake, without instruments, with metrics (as
every bot has them), with as many traces besides as are made by default, and with traces of all, which a receiver
on loopback takes. The bots run side by side and take turns in each round, in another order each time. What each
has taken from the end of one round to the end of the next is compared: spans that it sends while others talk count
too. Prints what it finds, and writes it to instruments.csv and instruments.md. Linux only.
"""

import argparse
import asyncio
import os
import random
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

Watched = Literal["none", "metrics", "sampled", "traces"]

GOAL = 0.03
"""The most that they may cost, as a share of a turn's processor time."""

_DRAWN = 2000


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
        taken = {watched: cpu_seconds(process) for watched, (_, process) in bots.items()}
        for number in range(1, arguments.rounds + 1):
            for watched in random.sample(kinds, len(kinds)):
                place, _ = bots[watched]
                await place.talk(Talk(arguments.turns, arguments.at_once, arguments.people))
            for watched, (_, process) in bots.items():
                before, taken[watched] = taken[watched], cpu_seconds(process)
                cpu = (taken[watched] - before) / arguments.turns
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


def share(costs: Sequence[Cost], watched: str) -> tuple[float, float, float]:
    """How much more than nothing it costs, over all rounds, and between what and what that lies with 95 %: rounds
    are drawn again and again from those that were measured."""
    nothing = {cost.round: cost.cpu for cost in costs if cost.watched == "none"}
    pairs = [(cost.cpu, nothing[cost.round]) for cost in costs if cost.watched == watched]
    draw = random.Random(0)  # noqa: S311 - no secret
    drawn = sorted(_more(draw.choices(pairs, k=len(pairs))) for _ in range(_DRAWN))
    return _more(pairs), drawn[_DRAWN // 40], drawn[-_DRAWN // 40]


def _more(pairs: Sequence[tuple[float, float]]) -> float:
    return sum(cpu for cpu, _ in pairs) / sum(nothing for _, nothing in pairs) - 1


def report(costs: Sequence[Cost]) -> str:
    lines = ["# What the instruments cost", ""]
    lines += [f"- {line}" for line in describe(("prometheus-client", "opentelemetry-sdk", "structlog", "uvloop"))]
    loads = [cost.load for cost in costs]
    lines += [
        f"- the machine's load was {min(loads):.1f} to {max(loads):.1f}",
        "- `share`: of the processor time of all rounds without instruments, how much more it is with them; and",
        "  between what and what it lies with 95 %",
        f"- the goal: {GOAL:.0%} at most",
        "- `sampled`: metrics, and as many traces as are made by default: more than those of a bot that is always",
        "  busy, since it rests while others talk; `traces`: metrics, and one of each turn",
        "",
        "| platform | instruments | CPU of a turn, us | share | with 95 % | rounds | turns a round |",
        "| --- | --- | --- | --- | --- | --- | --- |",
    ]
    for name, watched in dict.fromkeys((cost.platform, cost.watched) for cost in costs):
        own = [cost for cost in costs if cost.platform == name]
        of = [cost for cost in own if cost.watched == watched]
        median = 1e6 * statistics.median(cost.cpu for cost in of)
        more, lies = "-", "-"
        if watched != "none":
            middle, low, high = share(own, watched)
            more, lies = f"{100 * middle:+.1f} %", f"{100 * low:+.1f} to {100 * high:+.1f} %"
        lines.append(f"| {name} | {watched} | {median:,.0f} | {more} | {lies} | {len(of)} | {of[0].turns} |")
    return "\n".join(lines) + "\n"


async def main(arguments: argparse.Namespace) -> None:
    arguments.results.mkdir(parents=True, exist_ok=True)
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
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--turns", type=int, default=100)
    parser.add_argument("--at-once", type=int, default=16)
    parser.add_argument("--people", type=int, default=100)
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    return parser.parse_args(arguments)


if __name__ == "__main__":
    asyncio.run(main(parse(sys.argv[1:])))
