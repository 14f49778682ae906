"""The benchmark of everything but the model, with next to nothing to do: the real commands, bots and platforms."""

import math
from dataclasses import replace
from pathlib import Path

import pytest

from benchmarks import turns
from benchmarks.kept import medians
from benchmarks.turn_results import BARE, IN_MEMORY, OURS, Scaled, Turns, line, write

ROW = Turns(1, "slack", OURS, 8, 10, 100.0, 0.01, 0.02, 0.002, 1.0, 0.0002, 7.0, 3.0)


@pytest.mark.slow
@pytest.mark.timeout(180)  # ten processes start
async def test_each_bot_answers_everybody_and_what_it_took_is_written_down(tmp_path: Path) -> None:
    few = ["platforms", "--only", "telegram", "--rounds", "1", "--turns", "20", "--people", "4", "--at-once", "2"]
    await turns.main(turns.parse([*few, "--results", str(tmp_path)]))
    rows = (tmp_path / "turns.csv").read_text().splitlines()
    assert [row.split(",")[1] for row in rows[1:]] == ["telegram"] * 5
    text = (tmp_path / "turns.md").read_text()
    assert all(f"| {bot} |" in text for bot in (BARE, OURS, IN_MEMORY))
    [ours] = [row for row in rows if f",{OURS},2," in row]
    requests, calls = float(ours.split(",")[9]), float(ours.split(",")[11])
    assert requests >= 1.0
    assert calls >= 6.0, "accept, claim, complete, showing, shown and delivered"


@pytest.mark.slow
@pytest.mark.timeout(180)
async def test_workers_share_what_one_listener_hears(tmp_path: Path) -> None:
    few = ["workers", "--rounds", "1", "--workers", "2", "--seconds", "4"]
    await turns.main(turns.parse([*few, "--results", str(tmp_path)]))
    assert "| 2 | " in (tmp_path / "turns.md").read_text()


def test_medians_are_over_the_rounds() -> None:
    rows = [replace(ROW, round=number, cpu=cpu) for number, cpu in ((1, 0.001), (2, 0.004), (3, 0.002))]
    other = replace(ROW, bot=BARE, store_cpu=math.nan, calls=math.nan, syncs=math.nan)
    [ours, bare] = medians([*rows, other], "platform", "bot", "at_once")
    assert (ours.bot, ours.cpu, ours.round) == (OURS, 0.002, 0)
    assert bare.bot == BARE
    assert "2000 us" in line(ours)
    assert "Redis" not in line(bare)


def test_what_another_run_has_measured_stays(tmp_path: Path) -> None:
    write(tmp_path, [ROW, replace(ROW, platform="discord")], [Scaled(1, 2, 10, 9.0)], 0.001)
    write(tmp_path, [replace(ROW, per_second=50.0)], [Scaled(1, 1, 10, 5.0)], 0.001)
    text = (tmp_path / "turns.md").read_text()
    assert "| discord | 8 | trialogue | 100 |" in text
    assert "| slack | 8 | trialogue | 50 |" in text
    assert "| slack | 8 | trialogue | 100 |" not in text
    assert "| 2 | 9.0 | 0.90 |" in text
