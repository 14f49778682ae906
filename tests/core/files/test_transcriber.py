"""Voice into words, over the real SDK and a loopback server."""

import io
from collections.abc import AsyncIterator
from pathlib import PurePosixPath

import pytest
from aiohttp import web

from core.files.transcriber import Transcriber, TranscriberSettings
from core.files.unreadable import Unreadable
from core.turns import Attachment


class Server:
    """Says back the sound's bytes as text, to whoever has the key. `names` are what the files were called."""

    def __init__(self) -> None:
        self.names: list[str] = []

    async def transcribe(self, request: web.Request) -> web.StreamResponse:
        if request.headers.get("Authorization") != "Bearer key":
            return web.json_response({"error": {"message": "wrong key"}}, status=401)
        form = await request.post()
        file = form["file"]
        assert isinstance(file, web.FileField)
        assert form["model"] == "tiny"
        self.names.append(file.filename)
        if PurePosixPath(file.filename).suffix == ".wav":
            return web.json_response({"error": {"message": "no such format"}}, status=400)
        return web.json_response({"text": file.file.read().decode()})


@pytest.fixture
def server() -> Server:
    return Server()


@pytest.fixture
async def url(server: Server) -> AsyncIterator[str]:
    app = web.Application()
    app.router.add_post("/v1/audio/transcriptions", server.transcribe)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    host, port = runner.addresses[0][:2]
    yield f"http://{host}:{port}/v1"
    await runner.cleanup()


async def heard(url: str, sound: bytes, name: str, key: str = "key") -> str:
    transcriber = Transcriber(TranscriberSettings(url=url, model="tiny", api_key=key))
    return await transcriber.text(io.BytesIO(sound), Attachment(kind="voice", name=name))


async def test_words_are_heard_and_the_name_is_kept_back(server: Server, url: str) -> None:
    assert await heard(url, b" hello there \n", "../my secret.mp3") == "hello there"
    assert await heard(url, b"again", "voice message") == "again"
    assert server.names == ["voice.mp3", "voice.ogg"]


@pytest.mark.parametrize(
    ("sound", "name", "key", "why"),
    [
        (b"", "a.ogg", "key", "heard no words"),
        (b"hello", "a.wav", "key", "make out"),
        (b"hello", "a.ogg", "another", "make out"),
    ],
    ids=["silence", "refused", "wrong key"],
)
async def test_what_is_not_heard_says_why(url: str, sound: bytes, name: str, key: str, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        await heard(url, sound, name, key)


async def test_server_that_is_away_is_no_failure_of_the_turn() -> None:
    with pytest.raises(Unreadable, match="make out"):
        await heard("http://127.0.0.1:9/v1", b"hello", "a.ogg")
