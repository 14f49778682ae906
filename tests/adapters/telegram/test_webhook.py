"""Updates that Telegram pushes, through a real HTTP server."""

import asyncio
from collections.abc import AsyncIterator

import aiohttp
import pytest

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from bots.http.server import serve
from tests.adapters.telegram.conftest import soon
from tests.adapters.telegram.notebook import Alone, Notebook
from tests.fakes.telegram import FakeTelegram


def settings_for(fake: FakeTelegram, port: int) -> TelegramSettings:
    return TelegramSettings(
        token=fake.token, api_base=fake.api_base, mode="webhook", webhook_url=f"http://127.0.0.1:{port}/telegram"
    )


@pytest.fixture
async def url(fake: FakeTelegram, inbox: Notebook, unused_tcp_port: int) -> AsyncIterator[str]:
    """Where the adapter is pushed to, while it listens."""
    settings = settings_for(fake, unused_tcp_port)
    serving = asyncio.Event()
    async with TelegramAdapter(settings, Alone(), waits=soon()) as adapter, asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(adapter.listen(inbox)),
            group.create_task(
                serve(adapter.routes, "127.0.0.1", unused_tcp_port, ready=lambda _url: serving.set())
            ),
        ]
        await serving.wait()
        await fake.until(lambda: bool(fake.api.webhook["url"]))
        yield settings.webhook_url
        for task in tasks:
            task.cancel()


async def pushed(url: str, body: bytes, secret: str) -> int:
    headers = {"X-Telegram-Bot-Api-Secret-Token": secret}
    async with aiohttp.ClientSession() as session, session.post(url, data=body, headers=headers) as answer:
        return answer.status


@pytest.mark.usefixtures("url")
async def test_pushed_message_is_taken_and_acknowledged(fake: FakeTelegram, inbox: Notebook) -> None:
    await fake.say("pushed")
    await inbox.until(lambda: inbox.texts == ["pushed"])
    await fake.until(lambda: fake.unconfirmed == 0)
    assert fake.calls("getUpdates") == []


@pytest.mark.usefixtures("url")
async def test_push_is_not_acknowledged_while_the_store_is_away(fake: FakeTelegram, inbox: Notebook) -> None:
    inbox.away = True
    await fake.say("keep me")
    await fake.until(lambda: "503" in fake.api.webhook.get("last_error_message", ""))
    inbox.away = False
    await inbox.until(lambda: inbox.texts == ["keep me"])


@pytest.mark.parametrize("secret", ["", "guessed", "ä"])
async def test_push_without_the_secret_is_forbidden(url: str, inbox: Notebook, secret: str) -> None:
    assert await pushed(url, b'{"update_id": 1}', secret) == 403


async def test_push_that_is_no_update_is_refused(fake: FakeTelegram, url: str) -> None:
    secret = fake.api.webhook["secret_token"]
    assert await pushed(url, b"<html>", secret) == 400
    assert await pushed(url, b'{"update_id": "x"}', secret) == 400
    assert await pushed(url, b'{"update_id": 1}', secret) == 200


async def test_nothing_is_taken_while_nobody_listens(fake: FakeTelegram, unused_tcp_port: int) -> None:
    settings = settings_for(fake, unused_tcp_port)
    serving = asyncio.Event()
    adapter = TelegramAdapter(settings, Alone(), waits=soon())
    async with asyncio.TaskGroup() as group:
        task = group.create_task(
            serve(adapter.routes, "127.0.0.1", unused_tcp_port, ready=lambda _url: serving.set())
        )
        await serving.wait()
        assert await pushed(settings.webhook_url, b'{"update_id": 1}', settings.secret) == 503
        task.cancel()


def test_all_processes_of_a_bot_agree_on_a_secret_that_nobody_set(fake: FakeTelegram) -> None:
    one, other = settings_for(fake, 1), settings_for(fake, 2)
    assert one.secret == other.secret
    assert len(one.secret) == 64
    assert one.secret not in repr(one)
    assert TelegramSettings(token="7:x").secret != one.secret


def test_polling_has_no_route(adapter: TelegramAdapter) -> None:
    assert adapter.routes == []
