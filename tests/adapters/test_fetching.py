"""Files from a platform's own servers, and from nowhere else."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web

from adapters.fetching import fetched
from core.errors import NotFetched


@pytest.fixture
async def server() -> AsyncIterator[str]:
    async def serve(request: web.Request) -> web.StreamResponse:
        match request.path:
            case "/moved":
                raise web.HTTPFound("/file")
            case "/cut":
                response = web.StreamResponse(headers={"Content-Length": "10"})
                await response.prepare(request)
                await response.write(b"half")
                assert request.transport is not None
                request.transport.abort()
                return response
            case "/file":
                return web.Response(body=b"all of it")
        raise web.HTTPNotFound

    app = web.Application()
    app.router.add_get("/{name}", serve)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/"
    await runner.cleanup()


async def read(url: str, base: str) -> bytes:
    async with fetched(url, bases=(base,)) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_bytes_come_as_they_are(server: str) -> None:
    assert await read(f"{server}file", server) == b"all of it"


@pytest.mark.parametrize(
    "url",
    [
        "https://example.org/file",
        "http://127.0.0.1@example.org/",
        "file:///etc/passwd",
        "http://169.254.169.254/",
        "",
    ],
)
async def test_address_of_somebody_else_is_not_asked(server: str, url: str) -> None:
    with pytest.raises(NotFetched, match="own"):
        await read(url, server)


async def test_redirect_is_not_followed(server: str) -> None:
    with pytest.raises(NotFetched, match="302"):
        await read(f"{server}moved", server)


async def test_cut_connection_is_told(server: str) -> None:
    with pytest.raises(NotFetched, match="connection"):
        await read(f"{server}cut", server)


async def test_error_does_not_name_the_address(server: str) -> None:
    with pytest.raises(NotFetched) as caught:
        await read(f"{server}gone?token=secret", server)
    assert "secret" not in str(caught.value)
