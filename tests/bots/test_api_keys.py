"""`trialogue keys`, on a real server."""

import asyncio
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.cli import cli
from core.store.client import StoreSettings


@pytest.fixture
def environment(store_settings: StoreSettings, tmp_path: Path) -> dict[str, str]:
    return {
        "TRIALOGUE_CONFIG": "",
        "TRIALOGUE_REDIS__URL": store_settings.url,
        "TRIALOGUE_DATA_DIR": str(tmp_path),
    }


async def _invoke(environment: dict[str, str], *arguments: str) -> tuple[int, str, str]:
    answer = await asyncio.to_thread(CliRunner().invoke, cli, ["keys", *arguments], env=environment)
    return answer.exit_code, answer.stdout, answer.stderr


async def test_key_is_written_once_and_listed_without_what_it_opens(environment: dict[str, str]) -> None:
    assert "There is no key" in (await _invoke(environment, "list"))[1]
    code, key, _ = await _invoke(environment, "add", "ann", "--requests-per-minute", "7", "--admin")
    assert code == 0
    assert key.startswith("tri-")
    _, listed, _ = await _invoke(environment, "list")
    assert "ann" in listed
    assert "admin" in listed
    assert "7" in listed
    assert key.strip() not in listed
    code, _, told = await _invoke(environment, "revoke", "ann")
    assert (code, "ann" in told) == (0, True)
    assert "revoked" in (await _invoke(environment, "list"))[1]


async def test_unknown_key_is_named_and_nothing_is_revoked(environment: dict[str, str]) -> None:
    code, _, told = await _invoke(environment, "revoke", "nobody")
    assert code == 1
    assert "trialogue keys list" in " ".join(told.split())
