"""What came of the bots, as a table and as JSON. Knows no process."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from benchmarks import machine
from benchmarks.chaos.plan import Plan
from benchmarks.chaos.storm import Outcome
from benchmarks.chaos.verdict import Verdict

_VERDICT = ("messages", "lost", "doubled", "of them in doubt", "out of order", "cut short", "strange")
_COLUMNS = ("bot", "platform", *_VERDICT, "kills", "of the store", "faults", "seconds", "calm")
_LIBRARIES = ("discord.py", "python-telegram-bot", "slack-sdk", "redis")


def line(outcome: Outcome) -> str:
    """One bot in a line."""
    verdict = outcome.verdict
    counts = zip(_VERDICT, _counts(verdict), strict=True)
    return f"{outcome.bot}: " + ", ".join(f"{name} {count}" for name, count in counts)


def table(outcomes: Sequence[Outcome]) -> str:
    """The bots as a Markdown table: all platforms together, then each."""
    rows = ["| " + " | ".join(_COLUMNS) + " |", "| --- | --- " + "| ---: " * (len(_COLUMNS) - 2) + "|"]
    for outcome in outcomes:
        about = (outcome.kills, outcome.store_kills, outcome.faults)
        times = f"{outcome.seconds:.0f}", f"{outcome.calm:.0f}"
        rows.append(_row(outcome.bot, "all", *_counts(outcome.verdict), *about, *times))
        for platform, verdict in outcome.verdicts.items():
            rows.append(_row("", platform, *_counts(verdict), *([""] * (len(about) + len(times)))))
    return "\n".join(rows)


def write(folder: Path, plan: Plan, outcomes: Sequence[Outcome]) -> str:
    """Write chaos-SCENARIO-SEED.md and .json into `folder`; returns the text of the first."""
    name = f"chaos-{plan.scenario}-{plan.seed}"
    machine_lines = machine.describe(_LIBRARIES)
    size = plan.size
    what = (
        f"{size.messages:,} messages in {size.conversations} conversations within {size.seconds:.0f} s; two "
        "listeners, three workers and one store."
    )
    text = "\n".join(
        [
            f"# Chaos: {plan.scenario}, seed {plan.seed}",
            "",
            what,
            "",
            table(outcomes),
            "",
            *_doubts(outcomes),
            "",
            *(f"- {each}" for each in machine_lines),
            "",
        ]
    )
    data = {
        "scenario": plan.scenario,
        "seed": plan.seed,
        "size": asdict(size),
        "machine": machine_lines,
        "bots": [asdict(outcome) | {"verdict": asdict(outcome.verdict)} for outcome in outcomes],
    }
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.md").write_text(text)
    (folder / f"{name}.json").write_text(json.dumps(data, indent=2) + "\n")
    return text


def _doubts(outcomes: Sequence[Outcome]) -> list[str]:
    """How many sends on Telegram nobody can have known of."""
    return [
        f"- {outcome.bot}: on Telegram the answers to {outcome.cut} sends were cut off when the message stood "
        f"already, and the senders of {outcome.killed} were killed before they can have recorded it."
        for outcome in outcomes
    ]


def _counts(verdict: Verdict) -> tuple[int, ...]:
    return (
        verdict.messages,
        verdict.lost,
        verdict.doubled,
        verdict.excused,
        verdict.out_of_order,
        verdict.cut_short,
        verdict.strange,
    )


def _row(*cells: object) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"
