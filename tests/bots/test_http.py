"""The HTTP server over real sockets."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx
import pytest
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Route, WebSocketRoute
from starlette.websockets import WebSocket
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed

from bots.http.server import MAX_BODY, CannotListen, PortInUse, serve
from core.errors import CoreError


@asynccontextmanager
async def serving(*routes: BaseRoute, host: str = "127.0.0.1") -> AsyncIterator[str]:
    url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
    async with asyncio.TaskGroup() as group:
        task = group.create_task(serve(routes, host, 0, ready=url.set_result))
        try:
            yield await url
        finally:
            task.cancel()


async def count_body(request: Request) -> Response:
    return PlainTextResponse(str(len(await request.body())))


async def hold(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await socket.receive()


async def never_ends(socket: WebSocket) -> None:
    await socket.accept()
    await socket.send_text("hello")
    await asyncio.Event().wait()


async def test_healthz_says_ok_and_no_server_header() -> None:
    async with serving() as url, httpx.AsyncClient() as client:
        answer = await client.get(f"{url}/healthz")
    assert (answer.status_code, answer.text) == (200, "ok")
    assert "server" not in answer.headers


async def test_port_in_use_is_named_with_what_to_do() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with pytest.raises(PortInUse, match=rf"port {port} .* in use.* http\.port") as caught:
            await serve([], "127.0.0.1", port, ready=lambda _url: None)
    assert isinstance(caught.value, CoreError)


async def test_address_of_another_machine_is_a_clear_error() -> None:
    with pytest.raises(CannotListen, match=r"http\.host"):
        await serve([], "192.0.2.1", 0, ready=lambda _url: None)


async def test_wildcard_address_is_reported_as_one_that_a_browser_opens() -> None:
    async with serving(host="0.0.0.0") as url, httpx.AsyncClient() as client:
        assert url.startswith("http://127.0.0.1:")
        assert (await client.get(f"{url}/healthz")).is_success


async def test_port_is_free_again_after_the_end() -> None:
    async with serving() as url:
        port = int(url.rsplit(":", 1)[1])
    socket.create_server(("127.0.0.1", port)).close()


async def test_declared_body_over_the_bound_is_refused_unread() -> None:
    async with serving(Route("/", count_body, methods=["POST"])) as url, httpx.AsyncClient() as client:
        assert (await client.post(url, content=b"x" * MAX_BODY)).text == str(MAX_BODY)
        assert (await client.post(url, content=b"x" * (MAX_BODY + 1))).status_code == 413


async def test_undeclared_body_over_the_bound_is_refused() -> None:
    async def chunks() -> AsyncIterator[bytes]:
        for _ in range(MAX_BODY // 65536 + 1):
            yield b"x" * 65536

    async with serving(Route("/", count_body, methods=["POST"])) as url, httpx.AsyncClient() as client:
        assert (await client.post(url, content=chunks())).status_code == 413


@pytest.mark.parametrize("endpoint", [hold, never_ends])
async def test_open_websocket_does_not_hold_up_the_end(endpoint: object) -> None:
    async with asyncio.timeout(2.5):
        async with serving(WebSocketRoute("/ws", endpoint)) as url:  # type: ignore[arg-type]
            browser = await connect(f"{url.replace('http', 'ws')}/ws")
            assert await browser.recv() == "hello"
        with pytest.raises(ConnectionClosed):
            await browser.recv()


async def test_websocket_message_over_the_bound_closes_with_1009() -> None:
    async with (
        serving(WebSocketRoute("/ws", hold)) as url,
        connect(f"{url.replace('http', 'ws')}/ws") as browser,
    ):
        await browser.send("x" * (MAX_BODY + 1))
        with pytest.raises(ConnectionClosed) as closed:
            for _ in range(2):
                await browser.recv()
    assert closed.value.rcvd is not None
    assert closed.value.rcvd.code == 1009
