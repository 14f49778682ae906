"""The page answers only under its own names, and its WebSocket only to itself."""

import asyncio
from collections.abc import AsyncIterator
from http.cookies import SimpleCookie

import httpx
import pytest
from websockets.asyncio.client import connect
from websockets.exceptions import InvalidStatus

from adapters.web.adapter import WebAdapter
from adapters.web.settings import WebSettings
from bots.http.server import serve
from core.store.api_keys import ApiKeys
from core.store.store import Store


@pytest.fixture
async def url(store: Store) -> AsyncIterator[str]:
    """The page of an adapter that does not listen (yet)."""
    adapter = WebAdapter(
        WebSettings(hosts=("chat.example.org",), title="A & B", model="<m>"), store.library, ApiKeys(store.client)
    )
    served: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(adapter.routes, "127.0.0.1", 0, ready=served.set_result))
        yield await served
        task.cancel()


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST:8080", "127.0.0.1:1", "[::1]:8080", "192.168.1.5", "chat.example.org:443"]
)
async def test_own_names_and_addresses_are_served(url: str, host: str) -> None:
    async with httpx.AsyncClient() as client:
        assert (await client.get(url, headers={"Host": host})).status_code == 200


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "localhost.evil.example",
        "127.0.0.1.evil.example:80",
        "evil@localhost",
        "localhost:x",
        "[::1",
    ],
)
@pytest.mark.parametrize("path", ["/", "/page.js", "/page.css"])
async def test_foreign_names_are_refused(url: str, host: str, path: str) -> None:
    async with httpx.AsyncClient() as client:
        answer = await client.get(url + path, headers={"Host": host})
    assert answer.status_code == 421
    assert "http.names" in answer.text


@pytest.mark.parametrize(
    "origin", ["https://evil.example", "null", "", "http://127.0.0.1:1", "http://localhost", "file://"]
)
async def test_websocket_of_a_foreign_origin_is_refused(url: str, origin: str) -> None:
    headers = {"Origin": origin} if origin else {}
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{url.replace('http', 'ws')}/chat", additional_headers=headers)
    assert refused.value.response.status_code == 403


async def test_page_allows_no_foreign_code_and_no_frame(url: str) -> None:
    async with httpx.AsyncClient() as client:
        headers = (await client.get(url)).headers
    policy = headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "script-src 'self';" in policy
    assert "frame-ancestors 'none'" in policy
    assert "unsafe" not in policy
    assert headers["x-content-type-options"] == "nosniff"
    assert "set-cookie" not in headers


async def test_page_names_bot_and_model(url: str) -> None:
    async with httpx.AsyncClient() as client:
        page = (await client.get(url)).text
    assert "<title>A &amp; B</title>" in page
    assert "&lt;m&gt;" in page
    assert "{{" not in page


async def test_unchanged_file_is_not_sent_twice(url: str) -> None:
    async with httpx.AsyncClient() as client:
        first = await client.get(f"{url}/page.js")
        again = await client.get(f"{url}/page.js", headers={"If-None-Match": first.headers["etag"]})
    assert (first.status_code, again.status_code) == (200, 304)


async def test_cookie_is_for_the_page_only_and_renewed_as_it_is(url: str) -> None:
    socket = f"{url.replace('http', 'ws')}/chat"
    async with connect(socket, origin=url) as first:  # type: ignore[arg-type]
        assert first.response is not None
        cookie = first.response.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie  # it is http
    value = SimpleCookie(cookie)["trialogue"].value
    kept = {"Cookie": f"trialogue={value}"}
    async with connect(socket, origin=url, additional_headers=kept) as again:  # type: ignore[arg-type]
        assert again.response is not None
        assert SimpleCookie(again.response.headers["Set-Cookie"])["trialogue"].value == value


async def test_cookie_that_is_not_ours_is_replaced(url: str) -> None:
    forged = {"Cookie": "trialogue=a"}
    async with connect(
        f"{url.replace('http', 'ws')}/chat",
        origin=url,  # type: ignore[arg-type]
        additional_headers=forged,
    ) as socket:
        assert socket.response is not None
        assert len(SimpleCookie(socket.response.headers["Set-Cookie"])["trialogue"].value) == 43


async def test_page_that_is_too_early_is_told_to_come_back(url: str) -> None:
    async with connect(f"{url.replace('http', 'ws')}/chat", origin=url) as socket:  # type: ignore[arg-type]
        assert "not ready" in str(await socket.recv())
        await socket.wait_closed()
        assert socket.close_code == 1013
