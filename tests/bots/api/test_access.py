"""Who is served: this machine until a first key exists, and from then on who has one."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import httpx
import openai
import pytest

from bots.bot import Bot
from bots.http.api.access import Access
from bots.http.api.errors import ApiError
from core.engine.engine import NOBODY, Caller, Completion, Message, Params
from core.engine.scripted import ScriptedEngine
from core.errors import Overloaded
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.bots.api.conftest import SERVED, client_of
from tests.bots.api.test_answers import HI
from tests.running import running


@pytest.fixture
def keys(store: Store) -> ApiKeys:
    return ApiKeys(store.client)


async def status(bot: Bot, **headers: str) -> int:
    async with httpx.AsyncClient(trust_env=False) as client:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return (await client.get(f"{bot.url}/v1/models", headers=named)).status_code


async def test_any_authorization_is_taken_here_until_a_first_key_exists(bot: Bot, keys: ApiKeys) -> None:
    assert await status(bot) == 200
    assert await status(bot, authorization="Bearer whatever") == 200
    secret, key = await keys.add("ann")
    assert await status(bot) == 401
    assert await status(bot, authorization="Bearer whatever") == 401
    assert await status(bot, authorization=f"Basic {secret}") == 401
    assert await status(bot, authorization=f"Bearer {secret}") == 200
    await keys.revoke(key.id)
    assert await status(bot, authorization=f"Bearer {secret}") == 401
    assert await status(bot) == 401  # it does not open again


@pytest.mark.parametrize(
    ("headers", "expected"),
    [
        ({"x_forwarded_for": "203.0.113.7"}, 401),
        ({"origin": "https://evil.example"}, 403),
        ({"host": "evil.example"}, 421),
        ({"host": "localhost:8080", "origin": "http://localhost:8080"}, 200),
    ],
)
async def test_without_a_key_foreign_pages_names_and_proxies_are_refused(
    bot: Bot, headers: dict[str, str], expected: int
) -> None:
    assert await status(bot, **headers) == expected


@pytest.mark.parametrize(
    ("peer", "served"),
    [
        ("127.0.0.1", True),
        ("::1", True),
        ("::ffff:127.0.0.1", True),
        ("172.17.0.1", False),
        ("203.0.113.7", False),
    ],
)
async def test_without_a_key_only_loopback_peers_are_served(keys: ApiKeys, peer: str, served: bool) -> None:
    scope: Any = {"type": "http", "client": (peer, 1), "headers": [(b"host", b"127.0.0.1:8080")]}
    access = Access(keys, ())
    if served:
        assert (await access.admit(scope)).key is None
    else:
        with pytest.raises(ApiError) as refused:
            await access.admit(scope)
        assert refused.value.status == 401


async def test_client_is_told_its_limits_and_waits(bot: Bot, keys: ApiKeys) -> None:
    secret, _ = await keys.add("ann", requests_per_minute=2, tokens_per_minute=6)
    async with client_of(bot, secret) as client:
        first = await client.chat.completions.with_raw_response.create(model="default", messages=HI)
        assert first.headers["x-ratelimit-remaining-requests"] == "1"
        with pytest.raises(openai.RateLimitError) as limited:  # six tokens are used up
            await client.chat.completions.create(model="default", messages=HI)
    assert limited.value.code == "rate_limit_exceeded"
    assert 0 < int(limited.value.response.headers["retry-after"]) <= 60


class Full(ScriptedEngine):
    """Has no place until it is told to."""

    full = True

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        if self.full:
            raise Overloaded
        async with super().generate(messages, params, caller) as completion:
            yield completion


async def test_who_is_refused_is_charged_no_tokens(store: Store, keys: ApiKeys) -> None:
    secret, _ = await keys.add("ann", tokens_per_minute=6)
    engine = Full()
    async with running(store=store, engine=engine, address=SERVED) as bot, client_of(bot, secret) as client:
        with pytest.raises(openai.InternalServerError):
            await client.chat.completions.create(model="default", messages=HI)
        engine.full = False
        await client.chat.completions.create(model="default", messages=HI)


async def test_stream_of_a_revoked_key_ends_with_an_error(store: Store, keys: ApiKeys) -> None:
    secret, key = await keys.add("ann")
    engine = ScriptedEngine(delay=30.0)
    async with running(store=store, engine=engine, address=SERVED) as bot, client_of(bot, secret) as client:
        stream = await client.chat.completions.create(model="default", messages=HI, stream=True)
        seen = aiter(stream)
        await anext(seen)
        await keys.revoke(key.id)
        with pytest.raises(openai.APIError, match="revoked"):
            async with asyncio.timeout(10):
                while True:
                    await anext(seen)
        assert engine.load.running == 0
