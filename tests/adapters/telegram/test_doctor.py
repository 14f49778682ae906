"""What `trialogue doctor` says about Telegram."""

import pytest

from adapters import Finding
from adapters.telegram.adapter import TelegramSettings
from adapters.telegram.doctor import check
from tests.fakes.telegram import FakeTelegram


def settings_for(fake: FakeTelegram, *, webhook_url: str = "") -> TelegramSettings:
    return TelegramSettings(
        token=fake.token,
        api_base=fake.api_base,
        mode="webhook" if webhook_url else "polling",
        webhook_url=webhook_url,
    )


def wrong(findings: list[Finding]) -> list[tuple[str, str]]:
    return [(finding.what, finding.fix) for finding in findings if not finding.ok]


async def test_healthy_bot_has_nothing_wrong(fake: FakeTelegram) -> None:
    findings = await check(settings_for(fake))
    assert wrong(findings) == []
    assert "@trialogue_bot" in findings[0].what
    assert {call.method for call in fake.journal} == {"getMe", "getWebhookInfo"}


async def test_unknown_token_says_where_to_click(fake: FakeTelegram) -> None:
    settings = settings_for(fake)
    fake.token = "7000:another"
    (what, fix), *rest = wrong(await check(settings))
    assert rest == []
    assert "token" in what
    assert "BotFather" in fix


async def test_server_out_of_reach_is_named(fake: FakeTelegram) -> None:
    fake.fail("getMe", "html")
    assert "HTTP 502" in wrong(await check(settings_for(fake)))[0][0]


async def test_bot_that_may_not_join_groups(fake: FakeTelegram) -> None:
    fake.me["can_join_groups"] = False
    assert "Allow Groups" in wrong(await check(settings_for(fake)))[0][1]


async def test_webhook_in_the_way_of_polling(fake: FakeTelegram) -> None:
    fake.api.webhook = {"url": "https://example.org"}
    assert "webhook" in wrong(await check(settings_for(fake)))[0][0]


@pytest.mark.parametrize(
    ("webhook", "what"),
    [
        ({"url": ""}, "does not push"),
        ({"url": "https://ours.example/t", "last_error_date": 1, "last_error_message": "SSL error"}, "SSL error"),
    ],
)
async def test_webhook_that_does_not_work(fake: FakeTelegram, webhook: dict[str, str], what: str) -> None:
    fake.api.webhook = webhook
    assert what in wrong(await check(settings_for(fake, webhook_url="https://ours.example/t")))[0][0]


@pytest.mark.parametrize(
    "wrong_settings",
    [
        {"token": ""},
        {"token": "7:x", "api_base": "telegram.org"},
        {"token": "7:x", "api_base": "https://"},
        {"token": "7:x", "mode": "webhook"},
    ],
)
def test_settings_that_cannot_work_are_refused(wrong_settings: dict[str, str]) -> None:
    with pytest.raises(ValueError, match="telegram"):
        TelegramSettings(**wrong_settings)  # type: ignore[arg-type]
