"""Measurements, their medians over the rounds, and how they are written down. Knows no engine."""

import csv
import math
import statistics
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

from benchmarks.cell import Outcome

_NOTHING = "-"
_COLUMNS = (
    "engine",
    "tokens/s",
    "to the best other",
    "first token p50, s",
    "p95",
    "last turn's p50",
    "p95",
    "CPU s per 1,000 tokens",
    "peak MB",
    "cache hits",
    "last turn's",
    "rounds",
)


@dataclass(frozen=True, slots=True)
class Measurement:
    """One engine in one round with so many conversations. Times are in seconds, "first" is the time to the first
    token of a turn, and `last` belongs to the last turn of each conversation. `uneven` counts the prompts whose
    length the engine counted otherwise than we do. `hits` is the share of the prompt tokens that its cache had.
    Where `error` says something, nothing else does."""

    round: int
    engine: str
    conversations: int
    tokens: int = 0
    seconds: float = math.nan
    tokens_per_second: float = math.nan
    first_p50: float = math.nan
    first_p95: float = math.nan
    last_p50: float = math.nan
    last_p95: float = math.nan
    cpu_seconds: float = math.nan
    rss_mb: float = math.nan
    prompt_tokens: int = 0
    hits: float = math.nan
    last_hits: float = math.nan
    uneven: int = 0
    error: str = ""


@dataclass(frozen=True, slots=True)
class Summary:
    """The medians of one engine's measurements with so many conversations that went well, and how many did.
    `note` says why there is none, or not one for each round."""

    engine: str
    conversations: int
    rounds: int
    tokens_per_second: float = math.nan
    first_p50: float = math.nan
    first_p95: float = math.nan
    last_p50: float = math.nan
    last_p95: float = math.nan
    cpu_per_1000: float = math.nan
    rss_mb: float = math.nan
    hits: float = math.nan
    last_hits: float = math.nan
    note: str = ""


def measurement(round_number: int, engine: str, conversations: int, outcome: Outcome) -> Measurement:
    """What the turns of an outcome amount to."""
    turns = outcome.turns
    last_turn = max(turn.number for turn in turns)
    last = [turn for turn in turns if turn.number == last_turn]
    firsts, lasts = [turn.first for turn in turns], [turn.first for turn in last]
    tokens = sum(turn.tokens for turn in turns)
    return Measurement(
        round=round_number,
        engine=engine,
        conversations=conversations,
        tokens=tokens,
        seconds=outcome.seconds,
        tokens_per_second=tokens / outcome.seconds,
        first_p50=percentile(firsts, 0.5),
        first_p95=percentile(firsts, 0.95),
        last_p50=percentile(lasts, 0.5),
        last_p95=percentile(lasts, 0.95),
        cpu_seconds=outcome.cpu_seconds,
        rss_mb=outcome.rss_mb,
        prompt_tokens=sum(turn.prompt for turn in turns),
        hits=hit_rate((turn.prompt, turn.cached) for turn in turns),
        last_hits=hit_rate((turn.prompt, turn.cached) for turn in last),
        uneven=sum(turn.prompt != turn.expected for turn in turns),
    )


def percentile(values: Sequence[float], share: float) -> float:
    """The smallest of the values that at least `share` of them do not exceed (nearest rank)."""
    return sorted(values)[max(0, math.ceil(share * len(values)) - 1)]


def hit_rate(prompts: Iterable[tuple[int, int | None]]) -> float:
    """The share of prompt tokens that were cached; not a number where an engine does not say."""
    total, cached = 0, 0
    for length, known in prompts:
        if known is None:
            return math.nan
        total += length
        cached += known
    return cached / total


def summarise(measurements: Sequence[Measurement], engines: Sequence[str], sizes: Sequence[int]) -> list[Summary]:
    """One for each size and engine, in the order of these; those that were not measured say so."""
    return [
        _summary([m for m in measurements if (m.engine, m.conversations) == (engine, size)], engine, size)
        for size in sizes
        for engine in engines
    ]


def best_other(summaries: Sequence[Summary], engine: str, size: int, *, ours: Sequence[str]) -> Summary | None:
    """The fastest of the engines beside `engine` at this size. Two variants of our own are no others."""
    same = ours if engine in ours else (engine,)
    others = [s for s in summaries if s.conversations == size and s.rounds and s.engine not in same]
    return max(others, key=lambda s: s.tokens_per_second, default=None)


def write_csv(path: Path, measurements: Sequence[Measurement]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, [field.name for field in fields(Measurement)])
        writer.writeheader()
        for each in measurements:
            writer.writerow(
                {
                    key: round(value, 4) if isinstance(value, float) else value
                    for key, value in asdict(each).items()
                }
            )


def table(summaries: Sequence[Summary], size: int, *, ours: Sequence[str]) -> str:
    """The engines at one size as a Markdown table."""
    lines = [
        f"### {size} conversation{'s' if size > 1 else ''}",
        "",
        f"| {' | '.join(_COLUMNS)} |",
        "| --- " + "| ---: " * (len(_COLUMNS) - 1) + "|",
    ]
    for each in summaries:
        if each.conversations != size:
            continue
        if not each.rounds:
            lines.append(f"| {each.engine} | {each.note or 'not run'} " + "| " * (len(_COLUMNS) - 2) + "|")
            continue
        other = best_other(summaries, each.engine, size, ours=ours)
        ratio = each.tokens_per_second / other.tokens_per_second if other else math.nan
        cells = (
            each.engine,
            _number(each.tokens_per_second, 1),
            _number(ratio, 2),
            *(_number(value, 3) for value in (each.first_p50, each.first_p95, each.last_p50, each.last_p95)),
            _number(each.cpu_per_1000, 1),
            _number(each.rss_mb, 0),
            *(_NOTHING if math.isnan(value) else f"{value:.0%}" for value in (each.hits, each.last_hits)),
            f"{each.rounds}{f' ({each.note})' if each.note else ''}",
        )
        lines.append("| " + " | ".join(cells) + " |")
    return "\n".join(lines)


def _summary(measurements: Sequence[Measurement], engine: str, size: int) -> Summary:
    good = [m for m in measurements if not m.error]
    note = next((m.error for m in measurements if m.error), "")
    if not good:
        return Summary(engine, size, 0, note=note)

    def median(name: str) -> float:
        values: list[float] = [getattr(m, name) for m in good]
        return statistics.median(values)

    return Summary(
        engine=engine,
        conversations=size,
        rounds=len(good),
        tokens_per_second=median("tokens_per_second"),
        first_p50=median("first_p50"),
        first_p95=median("first_p95"),
        last_p50=median("last_p50"),
        last_p95=median("last_p95"),
        cpu_per_1000=statistics.median(1000 * m.cpu_seconds / m.tokens for m in good),
        rss_mb=median("rss_mb"),
        hits=median("hits"),
        last_hits=median("last_hits"),
        note=note,
    )


def _number(value: float, digits: int) -> str:
    return _NOTHING if math.isnan(value) else f"{value:,.{digits}f}"
