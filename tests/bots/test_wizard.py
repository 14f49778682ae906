"""`trialogue init`, driven as a person drives it: through its prompts."""

import os
import stat
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.cli import cli
from bots.settings import load


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def answer(*lines: str) -> str:
    result = CliRunner().invoke(cli, ["init"], input="\n".join(lines) + "\n")
    assert result.exit_code == 0, result.output
    return result.output


def test_enter_at_each_prompt_writes_a_file_that_loads(folder: Path) -> None:
    answer("", "", "", "", "")
    assert load().model.name == "default"
    assert load().platforms == ()


def test_tokens_are_written_and_the_file_is_for_its_owner_only(folder: Path) -> None:
    old_mask = os.umask(0)
    try:
        output = answer(
            "Ada", "y", "discord-token", "123456789", "y", "77:tg", "", "y", "", "", "xoxb-1", "xapp-1", ""
        )
    finally:
        os.umask(old_mask)
    settings = load()
    assert settings.name == "Ada"
    assert settings.platforms == ("discord", "telegram", "slack")
    assert settings.slack.app_token.get_secret_value() == "xapp-1"
    assert stat.S_IMODE((folder / "trialogue.toml").stat().st_mode) == 0o600
    assert "client_id=123456789" in output
    assert "socket_mode_enabled" in output
    assert "77:tg" not in output


def test_more_bots_on_telegram_have_names(folder: Path) -> None:
    output = answer("", "", "y", "77:tg", "Help!", "help", "78:tg", "", "", "")
    tokens = {name: token.get_secret_value() for name, token in load().telegram.tokens.items()}
    assert tokens == {"": "77:tg", "help": "78:tg"}
    assert "Small letters" in output
    assert "78:tg" not in output


def test_slack_that_calls_us_needs_a_signing_secret(folder: Path) -> None:
    output = answer("", "", "", "y", "https://bot.example.org", "", "y", "xoxb-1", "signing", "")
    slack = load().slack
    assert (slack.mode, slack.signing_secret.get_secret_value()) == ("http", "signing")
    assert "https://bot.example.org/slack/events" in output
    assert "assistant_view" in output


def test_slack_in_several_workspaces_needs_the_app_s_own_secrets(folder: Path) -> None:
    output = answer("", "", "", "y", "https://bot.example.org", "y", "", "1.2", "secret-of-app", "signing", "")
    slack = load().slack
    assert load().platforms == ("slack",)
    assert slack.client_id.get_secret_value() == "1.2"
    assert slack.client_secret.get_secret_value() == "secret-of-app"
    assert "https://bot.example.org/slack/oauth_redirect" in output
    assert "app_uninstalled" in output
    assert "https://bot.example.org/slack/install" in output
    assert "secret-of-app" not in output


def test_existing_file_is_kept_unless_the_person_says_so(folder: Path) -> None:
    file = folder / "trialogue.toml"
    file.write_text("name = 'Kept'", encoding="utf-8")
    result = CliRunner().invoke(cli, ["init"], input="n\n")
    assert result.exit_code != 0
    assert load().name == "Kept"
