"""What `trialogue doctor` finds on Slack."""

import dataclasses

import pytest

from adapters.slack.doctor import check
from adapters.slack.manifest import OPENED, SCOPES, manifest
from adapters.slack.settings import SlackSettings
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_api import ALL_SCOPES


async def trouble(settings: SlackSettings) -> list[str]:
    return [f"{found.what}: {found.fix}" for found in await check(settings) if not found.ok]


async def test_nothing_is_wrong(slack: FakeSlack, settings: SlackSettings, http_settings: SlackSettings) -> None:
    assert await trouble(settings) == []
    assert await trouble(http_settings) == []
    assert "@trialogue in Example" in (await check(settings))[0].what


async def test_each_missing_scope_is_named_with_where_to_click(slack: FakeSlack, settings: SlackSettings) -> None:
    slack.api.scopes -= {"users:read", "im:history"}
    first, second = await trouble(settings)
    assert "im:history" in first
    assert "users:read" in second
    assert "Reinstall" in first


@pytest.mark.parametrize(
    ("field", "value", "expected"),
    [
        ("bot_token", "", "bot_token is empty"),
        ("bot_token", "xoxb-wrong", "not accepted"),
        ("bot_token", FakeSlack.app_token, "not the kind"),
        ("app_token", "", "app_token is empty"),
        ("app_token", "xapp-wrong", "not accepted"),
        ("app_token", FakeSlack.bot_token, "not the kind"),
    ],
)
async def test_wrong_token_is_told(
    slack: FakeSlack, settings: SlackSettings, field: str, value: str, expected: str
) -> None:
    found = await trouble(_with(settings, field, value))
    assert len(found) == 1
    assert expected in found[0]
    assert "https://api.slack.com/apps" in found[0]
    assert not value or value not in found[0]


async def test_app_token_without_its_scope_is_told(slack: FakeSlack, settings: SlackSettings) -> None:
    slack.api.app_scopes.clear()
    (found,) = await trouble(settings)
    assert "connections:write" in found


async def test_slack_that_does_not_answer_is_told(settings: SlackSettings) -> None:
    found = await trouble(dataclasses.replace(settings, api_base="http://127.0.0.1:9/api/"))
    assert len(found) == 2
    assert "Can this machine reach" in found[0]


def _with(settings: SlackSettings, field: str, value: str) -> SlackSettings:
    return dataclasses.replace(settings, **{field: value})  # type: ignore[arg-type]


def test_manifest_asks_for_what_is_used() -> None:
    made = manifest("socket")
    assert set(made["oauth_config"]["scopes"]["bot"]) == set(SCOPES) == ALL_SCOPES
    assert made["settings"]["socket_mode_enabled"] is True
    assert "assistant_view" not in made["features"]
    assert all(len(shortcut["name"]) <= 24 for shortcut in made["features"]["shortcuts"])
    assert "request_url" not in made["settings"]["event_subscriptions"]


def test_manifest_for_the_assistants_pane_asks_for_one_thing_more() -> None:
    made = manifest("socket", assistant=True)
    assert set(made["oauth_config"]["scopes"]["bot"]) - set(SCOPES) == {"assistant:write"}
    assert OPENED in made["settings"]["event_subscriptions"]["bot_events"]
    assert "assistant_view" in made["features"]


def test_manifest_for_http_says_where_to_push() -> None:
    made = manifest("http", "https://bot.example.org/")
    assert made["settings"]["event_subscriptions"]["request_url"] == "https://bot.example.org/slack/events"
    assert made["features"]["slash_commands"][0]["url"] == "https://bot.example.org/slack/events"
    assert made["settings"]["socket_mode_enabled"] is False
    with pytest.raises(ValueError, match="URL"):
        manifest("http")
