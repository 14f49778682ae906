"""What `trialogue doctor` and `trialogue init` say about Discord."""

from typing import Any
from urllib.parse import parse_qs, urlsplit

import discord
import pytest

from adapters.discord.adapter import DiscordSettings
from adapters.discord.doctor import check
from adapters.discord.invite import invite_link
from adapters.discord.settings import PORTAL
from tests.contracts.discord_rig import settings_for
from tests.fakes.discord import FakeDiscord, Fault


async def test_healthy_bot_has_nothing_to_do(fake: FakeDiscord) -> None:
    findings = await check(settings_for(fake))
    assert [finding for finding in findings if not finding.ok] == []
    assert fake.gateway.connections == 0


async def test_wrong_token_is_named_with_where_to_click(fake: FakeDiscord) -> None:
    (finding,) = await check(DiscordSettings(token="wrong", api_base=fake.api_base))
    assert not finding.ok
    assert PORTAL in finding.fix


async def test_missing_intent_is_named_with_where_to_click(fake: FakeDiscord) -> None:
    fake.disallow_content()
    (finding,) = [one for one in await check(settings_for(fake)) if not one.ok]
    assert "Message Content Intent" in finding.what
    assert PORTAL in finding.fix


async def test_used_up_sessions_are_told(fake: FakeDiscord) -> None:
    fake.rest.sessions_left = 0
    (finding,) = [one for one in await check(settings_for(fake)) if not one.ok]
    assert "session" in finding.what


@pytest.mark.parametrize("fault", ["500", "html", "429", "cut before", "garbage"])
async def test_platform_in_trouble_is_told(fake: FakeDiscord, fault: Fault) -> None:
    fake.fail("GET", "/gateway/bot", fault, fault)  # aiohttp itself repeats a GET that was cut off
    (finding,) = await check(settings_for(fake))
    assert not finding.ok
    assert fake.api_base in finding.fix


def test_invitation_asks_for_what_the_bot_needs_and_no_more() -> None:
    link = urlsplit(invite_link(" 123 "))
    asked = parse_qs(link.query)
    assert link.netloc == "discord.com"
    assert asked["client_id"] == ["123"]
    assert asked["scope"] == ["bot applications.commands"]
    permissions = dict(discord.Permissions(int(asked["permissions"][0])))
    assert {name for name, allowed in permissions.items() if allowed} == {
        "view_channel",
        "read_messages",
        "send_messages",
        "send_messages_in_threads",
        "read_message_history",
    } & set(permissions)


def test_settings_tell_no_token() -> None:
    assert "abc" not in repr(DiscordSettings(token="abc"))


@pytest.mark.parametrize(
    "wrong", [{"token": ""}, {"token": "x", "api_base": "discord.com"}, {"token": "x", "gateway_url": "http://x"}]
)
def test_settings_that_cannot_work_are_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="discord"):
        DiscordSettings(**wrong)
