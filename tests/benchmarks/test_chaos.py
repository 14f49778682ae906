"""The storm in miniature, and the verdict on transcripts that were made by hand."""

import json
from pathlib import Path

import pytest

from benchmarks.chaos import ours, report
from benchmarks.chaos.plan import STORE, Kill, Outage, Plan, Say, Scenario, Size
from benchmarks.chaos.storm import endure
from benchmarks.chaos.verdict import ANSWER, Doubt, Post, Said, Verdict, judge, total

SMALL = Size(seconds=60.0, messages=100, conversations=20)


def said(number: int, words: int = 6) -> Said:
    return Said(number, " ".join(f"n{number}w{word}" for word in range(words)), number, number)


def answer(number: int, first: int = 0, end: int = 6, doubt: Doubt = "") -> Post:
    return Post(
        (ANSWER if first == 0 else "") + " ".join(f"n{number}w{word}" for word in range(first, end)), doubt
    )


ASKED = [said(1), said(2), said(3)]


@pytest.mark.parametrize(
    ("posts", "verdict"),
    [
        ([answer(1), answer(2), answer(3)], Verdict(3)),
        ([answer(1), answer(2, 0, 2), answer(2, 2, 6), answer(3)], Verdict(3)),
        ([answer(1), answer(3)], Verdict(3, lost=1)),
        ([answer(1), answer(2), answer(2), answer(3)], Verdict(3, doubled=1)),
        ([answer(1), answer(2, doubt="cut"), answer(2), answer(3)], Verdict(3, doubled=1, excused=1)),
        ([answer(1), answer(2, 0, 3, "killed"), answer(2), answer(3)], Verdict(3, doubled=1, excused=1)),
        ([answer(1, doubt="cut"), answer(2), answer(2), answer(3)], Verdict(3, doubled=1)),
        ([answer(1), Post(ANSWER, "cut"), answer(2), answer(3)], Verdict(3, doubled=1, excused=1)),
        ([answer(2), answer(1), answer(3)], Verdict(3, out_of_order=1)),
        ([answer(3), answer(1), answer(2)], Verdict(3, out_of_order=2)),
        ([answer(1), answer(2, 0, 5), answer(3)], Verdict(3, cut_short=1)),
        ([answer(1), answer(2, 0, 2), answer(2, 3, 6), answer(3)], Verdict(3, doubled=1, cut_short=1)),
        ([answer(1), Post(answer(2).text + " _Stopped._"), answer(3)], Verdict(3, cut_short=1)),
        ([answer(1), answer(2), answer(3), answer(4), Post("Something went wrong.")], Verdict(3, strange=2)),
    ],
    ids=[
        "each once",
        "in two parts",
        "lost",
        "doubled",
        "doubled after a cut",
        "doubled after a kill",
        "doubled beside another one's cut",
        "begun in doubt",
        "swapped",
        "late",
        "cut short",
        "with a hole",
        "altered",
        "strange",
    ],
)
def test_verdict_is_read_from_the_transcript(posts: list[Post], verdict: Verdict) -> None:
    assert judge(ASKED, posts) == verdict
    assert verdict.is_clean == (verdict == Verdict(3))


def test_messages_that_the_platform_brought_side_by_side_may_be_answered_in_either_order() -> None:
    side_by_side = [Said(1, said(1).text, begun=0, taken=5), Said(2, said(2).text, begun=1, taken=2)]
    assert judge(side_by_side, [answer(2), answer(1)]) == Verdict(2)


def test_verdicts_add_up() -> None:
    assert total([Verdict(2, lost=1), Verdict(3, doubled=2, excused=1)]) == Verdict(5, 1, 2, 1)


def test_seed_brings_the_same_storm_again_and_another_one_another() -> None:
    assert Plan.of(1, SMALL) == Plan.of(1, SMALL)
    assert Plan.of(1, SMALL).actions != Plan.of(2, SMALL).actions


def test_storm_kills_nothing_that_is_down_and_everything_is_said() -> None:
    plan = Plan.of(3, Size())
    assert [say.number for say in plan.said] == list(range(2000))
    assert len({say.room for say in plan.said}) == 200
    up_at: dict[str, float] = {}
    for at, action in plan.actions:
        if isinstance(action, Kill):
            assert at >= up_at.get(action.target, 0.0)
            up_at[action.target] = at + action.down
    assert len(up_at) == 6


@pytest.mark.parametrize(("scenario", "kind"), [("store-down", Kill), ("platform-down", Outage)])
def test_scenario_says_the_same_and_breaks_one_thing_at_a_time(scenario: Scenario, kind: type) -> None:
    plan = Plan.of(1, Size(), scenario)
    assert plan.said == Plan.of(1, Size()).said
    broken = [(at, action) for at, action in plan.actions if not isinstance(action, Say)]
    assert {type(action) for _, action in broken} == {kind}
    if scenario == "store-down":
        assert [action for _, action in broken] == [Kill(STORE, 30.0)]
    else:
        ends = [at + action.seconds for at, action in broken if isinstance(action, Outage)]
        assert all(action.seconds == 60.0 for _, action in broken if isinstance(action, Outage))
        assert all(end < at for end, (at, _) in zip(ends, broken[1:], strict=False))
        assert ends[-1] < Size().seconds


@pytest.mark.slow
async def test_small_storm_is_endured_and_written_down(tmp_path: Path) -> None:
    plan = Plan.of(5, Size(seconds=5.0, messages=24, conversations=8))
    outcome = await endure(ours.NAME, ours.programs, plan, tmp_path, patience=40.0, unchanged=1.0)
    assert outcome.verdict == Verdict(24, doubled=outcome.verdict.excused, excused=outcome.verdict.excused)
    text = report.write(tmp_path / "results", plan, [outcome])
    assert text == (tmp_path / "results" / "chaos-storm-5.md").read_text()
    assert "| Trialogue | all | 24 | 0 |" in text
    assert json.loads((tmp_path / "results" / "chaos-storm-5.json").read_text())["seed"] == 5
