"""What waits for bots that are in the settings no more, as an operator sees it and lets go of it."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from adapters import Finding
from bots import stranded
from bots.cli import cli
from bots.settings import load
from core.store.client import StoreSettings
from core.store.fleet import StoreFleet
from core.store.store import open_store
from core.turns import Conversation, Room
from tests.core.store.events import an_event

FIRST, SECOND, SLACK = (
    Room(platform, bot, {}) for platform, bot in (("telegram", "4141"), ("telegram", "4242"), ("slack", "T1.A1"))
)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two messages wait for the second Telegram bot, and one for each of the others; the first bot is set."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALOGUE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("TRIALOGUE_MODEL__NAME", "echo")
    monkeypatch.setenv("TRIALOGUE_TELEGRAM__TOKEN", "4141:secret")
    monkeypatch.setenv("COLUMNS", "200")

    async def fill() -> None:
        async with open_store(StoreSettings(data_dir=tmp_path / "data")) as store:
            for room in (FIRST, SECOND, SLACK, SECOND):
                event = an_event("a secret", room=room, conversation=Conversation.of(room, "chat"))
                await store.inbox.accept(event)

    asyncio.run(fill())
    return tmp_path / "data"


def findings(folder: Path, *, worker: tuple[str, ...] = ()) -> list[Finding]:
    """What doctor is told, while a worker is there that delivers so."""

    async def found() -> list[Finding]:
        async with open_store(StoreSettings(data_dir=folder)) as store:
            if worker:
                await StoreFleet(store.client, store.fleet._channels).beat(worker)
            return await stranded.findings(load(), store)

    return asyncio.run(found())


def bots(found: list[Finding]) -> list[str]:
    return [finding.what.partition(":")[0] for finding in found]


def drop(*arguments: str, answer: str = "") -> tuple[int, str]:
    done = CliRunner().invoke(cli, ["drop", *arguments], input=answer)
    return done.exit_code, done.output


def test_each_bot_is_named_with_how_much_waits_and_since_when(folder: Path) -> None:
    slack, second = findings(folder)
    assert slack.what.startswith(
        "slack/T1.A1: 1 message waits for this bot, which is not in the settings, since 20"
    )
    assert slack.what.endswith("(less than an hour)")
    assert second.what.startswith("telegram/4242: 2 messages wait")
    assert second.fix == "Set its token again, or: trialogue drop telegram/4242"
    assert not (slack.ok or second.ok)
    assert "a secret" not in slack.what + second.what


def test_doctor_lists_them(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TRIALOGUE_TELEGRAM__TOKEN")  # doctor would ask Telegram
    told = CliRunner().invoke(cli, ["doctor"])
    assert told.exit_code == 1
    assert all(f"trialogue drop {bot}" in told.output for bot in ("slack/T1.A1", "telegram/4141", "telegram/4242"))


def test_bot_that_is_set_again_is_not_named(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIALOGUE_TELEGRAM__BOTS__SHOP__TOKEN", "4242:secret")
    assert bots(findings(folder)) == ["slack/T1.A1"]


@pytest.mark.parametrize(
    ("worker", "named"),
    [(("telegram", "slack"), "telegram/4242"), (("telegram", "telegram/shop"), "slack/T1.A1")],
)
def test_what_a_worker_may_answer_that_is_there_is_not_named(
    folder: Path, worker: tuple[str, ...], named: str
) -> None:
    assert bots(findings(folder, worker=worker)) == [named]


def test_what_waits_is_dropped_for_one_bot_and_never_for_one_that_is_set(folder: Path) -> None:
    assert drop("telegram/4141", "--yes")[0] == 2
    assert drop("telegram/4242", answer="n\n")[0] == 1
    assert bots(findings(folder)) == ["slack/T1.A1", "telegram/4242"]
    code, told = drop("telegram/4242", "--yes")
    assert (code, "Dropped: 2." in told) == (0, True)
    assert drop("telegram/4242", "--yes")[0] == 2
    assert bots(findings(folder)) == ["slack/T1.A1"]


@pytest.mark.parametrize(
    ("seconds", "age"),
    [(0, "less than an hour"), (3600, "1 hour"), (7300, "2 hours"), (86_400, "1 day"), (900_000, "10 days")],
)
def test_age_is_told_in_its_largest_unit(seconds: int, age: str) -> None:
    assert stranded._age(seconds) == age
