"""Whose conversations a page shows: a browser's on this machine, a key's from elsewhere."""

import asyncio
from pathlib import Path
from typing import Any

import httpx
import pytest
from websockets.asyncio.client import connect

from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.adapters.web.conftest import Serve
from tests.adapters.web.tab import open_tab

ELSEWHERE = {"X-Forwarded-For": "203.0.113.7"}


def socket(url: str, **headers: str) -> Any:
    return connect(f"{url.replace('http', 'ws')}/chat", origin=url, additional_headers=headers)  # type: ignore[arg-type]


async def opened(url: str, key: str) -> httpx.Response:
    async with httpx.AsyncClient() as client:
        return await client.post(f"{url}/key", content=key, headers={"Origin": url, **ELSEWHERE})


async def test_from_elsewhere_nothing_is_shown_without_a_key(serving: Serve, store: Store) -> None:
    async with serving() as url, open_tab(url) as tab, socket(url, Cookie=tab.cookie, **ELSEWHERE) as far:
        assert '"locked"' in await far.recv()
        await far.wait_closed()
        assert far.close_code == 4401
        assert "Set-Cookie" not in far.response.headers


async def test_key_opens_the_page_and_its_conversations_are_the_keys(serving: Serve, store: Store) -> None:
    keys = ApiKeys(store.client)
    secret, key = await keys.add("ann")
    async with serving() as url:
        cookie = (await opened(url, f" {secret}\n")).headers["Set-Cookie"]
        assert "HttpOnly" in cookie
        assert "SameSite=Strict" in cookie
        async with socket(url, Cookie=cookie.partition(";")[0], **ELSEWHERE) as far:
            await far.send('{"type":"say","id":"0123456789abcdef","text":"hello"}')
            while '"final":true' not in await far.recv():  # it is in memory by then
                pass
    [conversation] = [each async for each in store.memory.conversations()]
    assert conversation.place == f"web/local/key-{key.id}"


@pytest.mark.parametrize("wrong", ["", "tri-wrong", "x" * 5000, "\x00", "schlüssel", "tri-;\r\nSet-Cookie: a=b"])
async def test_wrong_key_opens_nothing(serving: Serve, wrong: str) -> None:
    async with serving() as url:
        answer = await opened(url, wrong)
        assert answer.status_code == 401
        assert "Set-Cookie" not in answer.headers


async def test_page_of_a_revoked_key_is_closed(serving: Serve, store: Store) -> None:
    keys = ApiKeys(store.client)
    secret, key = await keys.add("ann")
    async with serving() as url, socket(url, Cookie=f"trialogue-key={secret}", **ELSEWHERE) as far:
        await far.recv()
        await keys.revoke(key.id)
        async with asyncio.timeout(20):
            await far.wait_closed()
        assert far.close_code == 4401
        assert (await opened(url, secret)).status_code == 401


async def test_other_sites_hand_in_no_key(serving: Serve, store: Store) -> None:
    secret, _ = await ApiKeys(store.client).add("ann")
    async with serving() as url, httpx.AsyncClient() as client:
        answer = await client.post(f"{url}/key", content=secret, headers={"Origin": "https://evil.example"})
    assert answer.status_code == 403


@pytest.mark.parametrize("host", ["chat.example.org", "192.168.1.5"])
async def test_another_name_is_elsewhere(serving: Serve, tmp_path: Path, host: str) -> None:
    async with serving(hosts=("chat.example.org",), uploads=tmp_path, max_file=10) as url:
        headers = {"Host": host, "Origin": f"http://{host}"}
        async with httpx.AsyncClient() as client:
            answer = await client.put(f"{url}/files/{'a' * 8}", content=b"x", headers=headers)
    assert answer.status_code == 401
