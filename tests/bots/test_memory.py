"""`trialogue memory` as an operator types it, on an embedded store."""

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.cli import cli
from core.engine.scripted import ScriptedEngine
from core.store.client import StoreSettings
from core.store.store import open_store
from core.turns import Speaker
from tests.core.store.events import CONVERSATION, an_event, two_turns
from tests.core.store.steps import accept, answer, eventually, take
from tests.running import running

Ask = Callable[..., str]

KEY = base64.b64encode(bytes(32)).decode()


@pytest.fixture
def ask(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Ask:
    """What a command prints, with Ann's and Bob's conversation in the store; the exit code is asked for."""

    def asked(*arguments: str, code: int = 0, **settings: str) -> str:
        environment = {f"TRIALOGUE_{name}": value for name, value in settings.items()}
        answer = CliRunner().invoke(cli, ["memory", *arguments], env=environment)
        assert answer.exit_code == code, answer.output
        return answer.output

    async def fill() -> None:
        async with open_store(StoreSettings(data_dir=tmp_path / "data")) as store:
            for name in ("ann", "bob"):
                await accept(store, replace(an_event(f"{name} asks"), speaker=Speaker(name), server="S1"))
                await answer(store, f"{name} is told")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TRIALOGUE_DATA_DIR", str(tmp_path / "data"))
    monkeypatch.setenv("COLUMNS", "200")
    asyncio.run(fill())
    return asked


def test_person_is_exported_forgotten_and_brought_back_into_a_store_with_other_shards(ask: Ask) -> None:
    ask("export", "--person", "web/ann", "--output", "ann.jsonl")
    said = ask("forget", "--person", "web/ann", "--yes")
    assert "Forgotten: 1 conversation." in said
    assert "was rewritten" in said
    left = ask("export")
    assert "ann" not in left
    assert '"bob is told"' in left
    elsewhere = {"REDIS__SHARDS": "3", "REDIS__PREFIX": "new"}
    assert "Read: 3 lines." in ask("import", "ann.jsonl", **elsewhere)
    brought = ask("export", **elsewhere)
    assert '"ann is told"' in brought
    assert "bob" not in brought


@pytest.mark.parametrize(
    "what", [(str(CONVERSATION),), ("--room", CONVERSATION.place), ("--server", "web/S1"), ("--all",)]
)
def test_forgotten_whole_it_is_not_listed(ask: Ask, what: tuple[str, ...]) -> None:
    assert str(CONVERSATION) in ask("show")
    assert "Forgotten: 1 conversation." in ask("forget", *what, "--yes")
    assert "Nothing is remembered yet" in ask("show")


def test_what_is_to_be_forgotten_must_be_one_thing_that_is_there(ask: Ask) -> None:
    ask("forget", "--yes", code=2)
    ask("forget", "--room", "a", "--all", "--yes", code=2)
    ask("forget", "--person", "nobody", "--yes", code=2)
    assert "there is no conversation" in ask("forget", "web/nowhere", "--yes", code=2)
    assert "Aborted" in ask("forget", "--all", code=1)
    assert str(CONVERSATION) in ask("show")


def test_copy_is_a_store_of_its_own(ask: Ask) -> None:
    ask("backup", "restored/redis")
    assert "is there already" in ask("backup", "restored/redis", code=2)
    ask("forget", "--all", "--yes")
    assert str(CONVERSATION) in ask("show", DATA_DIR="restored")


async def test_bot_that_runs_lets_old_turns_go(store_settings: StoreSettings) -> None:
    async with open_store(replace(store_settings, keep=timedelta(days=365))) as store:
        await accept(store, an_event("long ago"))
        claim = await take(store)
        turns = [replace(turn, at=1_700_000_000.0) for turn in two_turns(claim.event, "yes", last=0)]
        await store.claims.complete(claim, turns=turns, text="yes", window=1)
        await store.claims.delivered(claim)
        async with running(store=store, engine=ScriptedEngine()):

            async def gone() -> bool:
                return await store.memory.turns(CONVERSATION, 9) == []

            assert await eventually(gone)


def test_doctor_tells_of_messages_that_nobody_can_read(ask: Ask, tmp_path: Path) -> None:
    async def lose() -> None:
        async with open_store(StoreSettings(data_dir=tmp_path / "data")) as store:
            stream = store.client.keys.unreadable(CONVERSATION)
            await store.client.ask("XADD", stream, "*", "c", CONVERSATION.place, "e", b"\xc1\x7f", key=stream)

    asyncio.run(lose())
    answer = CliRunner().invoke(cli, ["doctor"], env={"TRIALOGUE_MODEL__NAME": "echo"})
    assert answer.exit_code == 1
    assert "1 message that cannot be read" in answer.output
    assert "newer version" in answer.output


def test_store_is_encrypted_with_a_key_and_not_opened_without(ask: Ask) -> None:
    assert "openssl rand -base64 32" in " ".join(ask("rotate-keys", code=1).split())
    refused = ask("rotate-keys", code=1, REDIS__ENCRYPTION_KEYS="hunter2")
    assert "redis.encryption_keys" in refused
    assert "hunter2" not in refused
    assert "Encrypted anew: 4 records" in ask("rotate-keys", REDIS__ENCRYPTION_KEYS=KEY)
    assert "is encrypted: set redis.encryption_keys" in " ".join(ask("export", code=1).split())
    assert '"ann is told"' in ask("export", REDIS__ENCRYPTION_KEYS=f"{KEY},{base64.b64encode(b'x' * 32).decode()}")
