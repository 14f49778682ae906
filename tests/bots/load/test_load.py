"""`trialogue load` against the real API, and through a platform's fake."""

import asyncio
import json
import os
import signal
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from bots.cli import cli
from bots.load import rooms
from bots.load.outcome import Answered, Outcome, percentile
from core.engine.scripted import ScriptedEngine
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.running import running


def _load(folder: Path, *arguments: str) -> tuple[int, str, dict[str, object]]:
    answer = CliRunner().invoke(cli, ["load", *arguments, "--output", str(folder)])
    written = folder / "load.json"
    return answer.exit_code, answer.output, json.loads(written.read_text()) if written.exists() else {}


async def test_conversations_are_played_against_the_api(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("chitchat_dataset")
    async with running(store=store, engine=ScriptedEngine(), address=("127.0.0.1", 0)) as bot:
        arguments = ("api", "--url", f"{bot.url}/v1", "--people", "3", "--turns", "2", "--at-once", "2")
        code, _, told = await asyncio.to_thread(_load, tmp_path, *arguments)
    assert code == 0
    assert told["turns"] == 6
    assert told["errors"] == {}
    for name in ("first_token_seconds", "turn_seconds"):
        assert set(told[name]) == {"p50", "p90", "p95", "p99"}  # type: ignore[call-overload]
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


async def test_refusals_are_counted_and_the_command_fails(store: Store, tmp_path: Path) -> None:
    pytest.importorskip("chitchat_dataset")
    await ApiKeys(store.client).add("ann")
    async with running(store=store, engine=ScriptedEngine(), address=("127.0.0.1", 0)) as bot:
        arguments = ("api", "--url", f"{bot.url}/v1", "--people", "2", "--turns", "2", "--key", "wrong")
        code, _, told = await asyncio.to_thread(_load, tmp_path, *arguments)
    assert code == 1
    assert (told["turns"], told["errors"]) == (0, {"401": 2})


@pytest.mark.slow
@pytest.mark.timeout(120)
@pytest.mark.parametrize("platform", ["telegram", "discord", "slack"])
def test_conversations_are_played_through_a_platform(tmp_path: Path, platform: str) -> None:
    pytest.importorskip("chitchat_dataset")
    code, shown, told = _load(tmp_path, platform, "--people", "3", "--turns", "2", "--at-once", "2")
    assert code == 0
    assert "6 of 6 turns" in shown
    assert (told["target"], told["turns"], told["errors"]) == (platform, 6, {})
    each: Any = told["each"]
    assert len({turn["at"] for turn in each}) == 6  # each is told of by itself, when it is there
    percentiles: Any = told["turn_seconds"]
    assert 0 < percentiles["p50"] <= percentiles["p90"] <= percentiles["p95"] <= percentiles["p99"]
    assert percentiles["p99"] == max(turn["whole"] for turn in each)
    assert told["first_token_seconds"] == {}  # a room shows no first token
    assert (tmp_path / "load.png").read_bytes().startswith(b"\x89PNG")


def _people() -> int:
    """The process of the platform that this one has begun."""
    for folder in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            begun_by = (folder / "stat").read_text().rpartition(")")[2].split()[1]
            if begun_by == str(os.getpid()) and b"benchmarks.people" in (folder / "cmdline").read_bytes():
                return int(folder.name)
    raise AssertionError("there is no such process")


@pytest.mark.slow
@pytest.mark.timeout(120)
async def test_answers_that_do_not_come_are_counted_and_end_the_load() -> None:
    told: list[Answered] = []

    def hear(one: Answered) -> None:
        told.append(one)
        if len(told) == 1:
            os.kill(_people(), signal.SIGKILL)

    await rooms.play("telegram", [["hello", "and more"]] * 50, at_once=1, told=hear)
    assert told[0].error == ""
    assert [one.error for one in told].count("no answer") == 1
    assert len(told) < 100


def test_percentiles_are_of_what_was_answered() -> None:
    assert [percentile([4.0, 1.0, 3.0, 2.0], share) for share in (50, 90, 99)] == [2.0, 4.0, 4.0]
    turns = [Answered(at=0, whole=float(number)) for number in range(1, 101)]
    failed = Answered(at=0, whole=1000.0, error="503")
    outcome = Outcome(target="x", conversations=1, at_once=1, seconds=10.0, turns=[*turns, failed])
    assert outcome.percentiles("whole") == {"p50": 50.0, "p90": 90.0, "p95": 95.0, "p99": 99.0}
    assert outcome.percentiles("first") == {}
    assert outcome.summary()["turns_per_second"] == 10.0
