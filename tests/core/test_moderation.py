"""A moderation server before and after the model: the official client over a real socket, against a loopback
server that can misbehave."""

from collections.abc import AsyncIterator

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from core.engine.scripted import ScriptedEngine
from core.errors import EngineError
from core.moderation import NOT_ANSWERED, NOT_ASKED, ModerationSettings, moderation
from core.store.store import Store
from tests.core.rooms import Chat, event, remembered, working


class Server:
    """Flags every text with `word` in it. `asked` is what it was shown; `broken` is what it answers instead."""

    def __init__(self, word: str) -> None:
        self.word = word
        self.asked: list[str] = []
        self.keys: set[str] = set()
        self.broken: tuple[int, str] | None = None

    async def moderations(self, request: web.Request) -> web.Response:
        body = await request.json()
        self.asked.append(body["input"])
        self.keys.add(request.headers.get("Authorization", ""))
        if self.broken is not None:
            status, text = self.broken
            return web.Response(status=status, text=text, content_type="application/json")
        result = {"flagged": self.word in body["input"], "categories": {}, "category_scores": {}}
        return web.json_response({"id": "1", "model": body["model"], "results": [result]})


@pytest.fixture
def server() -> Server:
    return Server("forbidden")


@pytest.fixture
async def settings(server: Server) -> AsyncIterator[ModerationSettings]:
    app = web.Application()
    app.router.add_post("/v1/moderations", server.moderations)
    async with TestServer(app) as running:
        yield ModerationSettings(url=str(running.make_url("/v1")), api_key="sk-moderator", seconds=5.0)


async def test_message_that_is_flagged_never_reaches_the_model(
    store: Store, settings: ModerationSettings, server: Server
) -> None:
    chat = Chat()
    async with working(store, chat.deliver, extensions=[moderation(settings)]):
        await store.inbox.accept(event(1, "something forbidden"))
        await store.inbox.accept(event(2, "hello"))
        assert await chat.until_finished(2) == [NOT_ASKED, "You said: hello"]
    assert server.asked == ["something forbidden", "hello", "You said: hello"]
    assert server.keys == {"Bearer sk-moderator"}
    assert await remembered(store) == ["hello", "You said: hello"]


async def test_answer_that_is_flagged_is_seen_by_nobody(
    store: Store, settings: ModerationSettings, server: Server
) -> None:
    server.word = "You said"
    shown: list[str] = []

    async def watch(text: str) -> None:
        shown.append(text)

    chat = Chat(before=watch)
    async with working(store, chat.deliver, ScriptedEngine(delay=0.02), extensions=[moderation(settings)]):
        await store.inbox.accept(event(1, "hello"))
        assert await chat.until_finished(1) == [NOT_ANSWERED]
    assert not any("You said" in text for text in shown)
    assert await remembered(store) == []


@pytest.mark.parametrize(("status", "body"), [(401, "no such key"), (200, "not JSON"), (200, '{"results": null}')])
async def test_server_that_cannot_say_is_not_passed_over(
    store: Store,
    settings: ModerationSettings,
    server: Server,
    caplog: pytest.LogCaptureFixture,
    status: int,
    body: str,
) -> None:
    server.broken = status, body
    chat = Chat()
    async with working(store, chat.deliver, extensions=[moderation(settings)]):
        await store.inbox.accept(event(1, "hello"))
        assert await chat.until_finished(1) == [EngineError.reply]
    assert "sk-moderator" not in caplog.text
    assert "sk-moderator" not in repr(settings)
