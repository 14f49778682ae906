"""Statistics and tables."""

import csv
import math
from pathlib import Path

import pytest

from benchmarks.cell import Outcome
from benchmarks.chat import Turn
from benchmarks.results import (
    Measurement,
    best_other,
    hit_rate,
    measurement,
    percentile,
    summarise,
    table,
    write_csv,
)


def _turn(number: int, first: float, *, tokens: int = 10, cached: int | None = None) -> Turn:
    return Turn(0, number, first, tokens, prompt=100, expected=100 + number, cached=cached)


def _measured(engine: str, size: int, speed: float, *, round_number: int = 1) -> Measurement:
    return Measurement(round_number, engine, size, tokens=100, tokens_per_second=speed, cpu_seconds=5.0)


@pytest.mark.parametrize(
    ("values", "share", "expected"),
    [([3.0], 0.95, 3.0), ([4.0, 1.0, 3.0, 2.0], 0.5, 2.0), ([float(n) for n in range(1, 101)], 0.95, 95.0)],
)
def test_a_percentile_is_one_of_the_values(values: list[float], share: float, expected: float) -> None:
    assert percentile(values, share) == expected


def test_the_hit_rate_is_unknown_when_an_engine_does_not_say() -> None:
    assert hit_rate([(100, 50), (300, 250)]) == 0.75
    assert math.isnan(hit_rate([(100, 50), (100, None)]))


def test_a_measurement_is_what_the_turns_amount_to() -> None:
    turns = [_turn(0, 0.1, cached=0), _turn(0, 0.5, cached=0), _turn(1, 0.3, cached=90), _turn(1, 0.2, cached=90)]
    found = measurement(2, "ours", 2, Outcome(turns, seconds=4.0, cpu_seconds=6.0, rss_mb=123.0))
    assert (found.round, found.engine, found.conversations) == (2, "ours", 2)
    assert (found.tokens, found.tokens_per_second, found.prompt_tokens) == (40, 10.0, 400)
    assert (found.first_p50, found.first_p95) == (0.2, 0.5)
    assert (found.last_p50, found.last_p95) == (0.2, 0.3)
    assert (found.hits, found.last_hits) == (0.45, 0.9)
    assert found.uneven == 2


def test_a_summary_has_the_medians_of_what_went_well() -> None:
    measured = [_measured("a", 1, speed, round_number=n) for n, speed in enumerate((5.0, 50.0, 7.0))]
    measured.append(Measurement(4, "a", 1, error="failed"))
    (summary,) = summarise(measured, ["a"], [1])
    assert (summary.rounds, summary.tokens_per_second, summary.cpu_per_1000) == (3, 7.0, 50.0)
    assert summary.note == "failed"


def test_the_best_other_is_the_fastest_that_is_not_ours() -> None:
    measured = [_measured("ours", 8, 90.0), _measured("ours-float32", 8, 80.0), _measured("a", 8, 30.0)]
    measured += [_measured("b", 8, 40.0), _measured("a", 1, 99.0), Measurement(1, "c", 8, error="failed")]
    summaries = summarise(measured, ["ours", "ours-float32", "a", "b", "c"], [1, 8])
    ours = ("ours", "ours-float32")
    for engine, other in (("ours", "b"), ("a", "ours"), ("b", "ours")):
        found = best_other(summaries, engine, 8, ours=ours)
        assert found is not None
        assert found.engine == other
    assert best_other(summaries, "a", 1, ours=ours) is None


def test_a_table_has_a_line_for_each_engine_also_for_those_that_did_not_run() -> None:
    measured = [_measured("ours", 8, 90.0), _measured("a", 8, 30.0), Measurement(1, "b", 8, error="too long")]
    lines = table(summarise(measured, ["ours", "a", "b", "c"], [8]), 8, ours=["ours"]).splitlines()
    assert lines[0] == "### 8 conversations"
    assert lines[4].startswith("| ours | 90.0 | 3.00 |")
    assert lines[5].startswith("| a | 30.0 | 0.33 |")
    assert lines[6].startswith("| b | too long |")
    assert lines[7].startswith("| c | not run |")
    assert {line.count("|") for line in lines[2:]} == {13}


def test_every_measurement_is_a_line_of_the_file(tmp_path: Path) -> None:
    path = tmp_path / "engine.csv"
    write_csv(path, [_measured("a", 1, 1 / 3), Measurement(1, "b", 8, error="failed, with a comma")])
    with path.open(newline="") as file:
        first, second = csv.DictReader(file)
    assert (first["engine"], first["conversations"], first["tokens_per_second"]) == ("a", "1", "0.3333")
    assert (second["engine"], second["error"]) == ("b", "failed, with a comma")
