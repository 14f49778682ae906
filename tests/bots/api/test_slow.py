"""Programs that keep the API waiting or go away, over real sockets; and a model that takes too long."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import urlsplit

import httpx
import pytest

from bots.bot import Bot
from bots.http.api.access import Access
from bots.http.api.endpoint import Limits
from bots.http.api.routes import routes
from core.engine.engine import Params
from core.engine.scripted import ScriptedEngine
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.bots.api.conftest import client_of
from tests.bots.api.test_answers import HI
from tests.bots.api.test_refusals import ASKED, CHAT
from tests.bots.test_http import serving


@asynccontextmanager
async def half_asked(
    url: str, key: str = "any"
) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A request of which the last byte does not come."""
    parts, body = urlsplit(url), json.dumps(ASKED).encode()
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    head = f"POST {CHAT} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {key}\r\ncontent-length: {len(body)}"
    writer.write(f"{head}\r\n\r\n".encode() + body[:-1])
    try:
        yield reader, writer
    finally:
        writer.close()


async def test_request_that_breaks_off_is_not_counted_and_no_error(
    bot: Bot, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    secret, _ = await ApiKeys(store.client).add("ann", requests_per_minute=1)
    async with half_asked(bot.url or "", secret) as (reader, writer):
        writer.write_eof()
        assert await reader.read() == b""
    async with client_of(bot, secret) as client:
        answer = await client.chat.completions.with_raw_response.create(model="default", messages=HI)
    assert answer.headers["x-ratelimit-remaining-requests"] == "0"
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


async def test_body_that_takes_too_long_is_told_so(store: Store) -> None:
    async with limited(store, ScriptedEngine(), Limits(body_seconds=0.1)) as url, half_asked(url) as (reader, _):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 408")
    assert "too long" in json.loads(body)["error"]["message"]


@pytest.mark.parametrize("stream", [False, True])
async def test_answer_that_takes_too_long_ends_with_an_error(store: Store, stream: bool) -> None:
    engine = ScriptedEngine(delay=60.0)
    async with (
        limited(store, engine, Limits(answer_seconds=0.1)) as url,
        httpx.AsyncClient(trust_env=False, timeout=30) as client,
    ):
        answer = await client.post(f"{url}{CHAT}", json={**ASKED, "stream": stream})
    assert answer.status_code == (200 if stream else 503)
    assert "The answer took too long." in answer.text
    assert answer.text.endswith("data: [DONE]\n\n") is stream
    assert engine.load.running == 0


@asynccontextmanager
async def limited(store: Store, engine: ScriptedEngine, limits: Limits) -> AsyncIterator[str]:
    access = Access(ApiKeys(store.client), ())
    async with serving(*routes(engine, access, personas={}, params=Params(), limits=limits)) as url:
        yield url
