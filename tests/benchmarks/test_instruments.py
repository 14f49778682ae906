"""The benchmark of what the instruments cost, with next to nothing to do: the real command, bots and platform."""

from pathlib import Path

import pytest

from benchmarks import instruments
from benchmarks.instruments import Cost, report, share


@pytest.mark.slow
@pytest.mark.timeout(180)  # eight processes start
async def test_what_each_bot_took_is_written_down(tmp_path: Path) -> None:
    few = ["--rounds", "2", "--turns", "20", "--people", "4", "--at-once", "2"]
    await instruments.main(instruments.parse([*few, "--results", str(tmp_path)]))
    rows = [row.split(",") for row in (tmp_path / "instruments.csv").read_text().splitlines()[1:]]
    assert sorted(row[2] for row in rows) == sorted(["none", "metrics", "sampled", "traces"] * 2)
    assert all(0 < float(row[3]) < 1 for row in rows)
    assert "| telegram | traces | " in (tmp_path / "instruments.md").read_text()


def test_share_is_that_of_all_rounds_and_lies_between_those_of_some() -> None:
    took = {"none": (0.010, 0.020, 0.010), "metrics": (0.010, 0.022, 0.012)}
    costs = [Cost("x", n, kind, cpu, 10, 1.0) for kind, each in took.items() for n, cpu in enumerate(each)]
    more, low, high = share(costs, "metrics")
    assert more == pytest.approx(0.1)
    assert low == pytest.approx(0.0)
    assert high == pytest.approx(0.2)
    assert share(costs, "none") == (0.0, 0.0, 0.0)
    assert "| x | metrics | 12,000 | +10.0 % | +0.0 to +20.0 % | 3 | 10 |" in report(costs)
