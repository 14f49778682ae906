"""Tabs that talk with a real bot: real store, real worker, real sockets."""

import json
import socket
from dataclasses import replace

import pytest
from redis.asyncio import Redis

from adapters.web.events import Chat, to_event
from adapters.web.frames import Act
from core.engine.scripted import ScriptedEngine
from core.errors import StoreUnavailable
from core.store.store import Store
from tests.adapters.web.conftest import Serve
from tests.adapters.web.tab import open_tab, read
from tests.core.store.servers import RedisServer

SLOW = 0.05


async def test_reply_streams_and_ends_whole(serving: Serve) -> None:
    words, engine = " ".join(f"word{i}" for i in range(200)), ScriptedEngine(delay=0.02)
    async with serving(engine=engine) as url, open_tab(url) as tab:
        await tab.say(words)
        await tab.until(lambda: sum(frame["type"] == "drawn" for frame in tab.frames) > 2)
        engine.delay = 0.0
        await tab.until_answered(f"You said: {words}")
        drawn = [frame for frame in tab.frames if frame["type"] == "drawn"]
    assert len(drawn) > 2
    assert [frame["final"] for frame in drawn] == [False] * (len(drawn) - 1) + [True]


async def test_blocks_that_stand_are_not_sent_again(serving: Serve) -> None:
    text, engine = "one.\n\ntwo.\n\n" + " ".join(["three"] * 200), ScriptedEngine(delay=0.02)
    async with serving(engine=engine) as url, open_tab(url) as tab:
        await tab.say(text)
        await tab.until(lambda: "three" in " ".join(tab.texts()))
        engine.delay = 0.0
        await tab.until_answered(f"You said: {text}")
        last = [frame for frame in tab.frames if frame["type"] == "drawn"][-1]
    assert last["keep"] >= 2
    assert last["keep"] + len(last["blocks"]) == 3


async def test_history_survives_a_restart(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        await tab.say("remember me")
        await tab.until_answered("You said: remember me")
        cookie = tab.cookie
    async with serving() as url, open_tab(url, cookie) as tab:
        assert list(tab.said.values()) == ["remember me"]
        assert tab.texts() == ["You said: remember me"]


async def test_open_page_comes_back_after_a_restart(serving: Serve) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    async with open_tab(f"http://127.0.0.1:{port}", connected=False) as tab:
        async with serving(port=port):
            await tab.say("one")
            await tab.until_answered("You said: one")
        async with serving(port=port):
            await tab.say("two")
            await tab.until_answered("You said: one", "You said: two")


async def test_nobody_sees_what_another_browser_said(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as ann, open_tab(url) as bob:
        await ann.say("a secret")
        await ann.until_answered("You said: a secret")
        await bob.say("hello")
        await bob.until_answered("You said: hello")
        assert "a secret" not in json.dumps(bob.frames)


async def test_two_tabs_of_a_browser_show_the_same(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as one, open_tab(url, one.cookie) as other:
        await one.say("hello to both of you")
        await other.until_answered("You said: hello to both of you")
        assert list(other.said.values()) == ["hello to both of you"]


async def test_page_that_opens_in_the_middle_of_a_reply_gets_what_stands_there(serving: Serve) -> None:
    words = " ".join(["word"] * 1000)
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url, open_tab(url) as one:
        await one.say(words)
        await one.until(lambda: "word" in " ".join(one.texts()))
        async with open_tab(url, one.cookie) as late:
            await late.until(lambda: "word" in " ".join(late.texts()))
            assert not late.final
            assert list(late.said.values()) == [words]


async def test_message_sent_again_is_taken_and_answered_once(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        for _ in range(2):
            assert (await tab.say("once", "0123456789abcdef"))["type"] == "taken"
        await tab.say("after")
        await tab.until_answered("You said: once", "You said: after")


async def test_stop_ends_the_reply_and_says_so(serving: Serve) -> None:
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url, open_tab(url) as tab:
        await tab.say("word " * 2000)
        await tab.until(lambda: "word" in " ".join(tab.texts()))
        await tab.stop()
        await tab.until(lambda: bool(tab.final))
        assert tab.texts()[0].endswith("Stopped.")
        cookie = tab.cookie
        async with open_tab(url, cookie) as again:
            assert again.texts()[0].endswith("Stopped.")


@pytest.mark.parametrize("command", ["/help", "/reset", "/persona a pirate", "/start"])
async def test_command_gets_its_answer(serving: Serve, command: str) -> None:
    async with serving() as url, open_tab(url) as tab:
        taken = await tab.say(command)
        assert taken["key"].endswith(command.partition(" ")[0])
        await tab.until(lambda: taken["key"] in tab.final)


async def test_reset_empties_the_history(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        await tab.say("remember me")
        await tab.until_answered("You said: remember me")
        taken = await tab.say("/reset")
        await tab.until(lambda: taken["key"] in tab.final)
        async with open_tab(url, tab.cookie) as again:
            assert again.replies == {}


async def test_answer_that_is_shown_again_stands_there_once(serving: Serve, store: Store) -> None:
    async with serving() as url, open_tab(url) as tab:
        taken = await tab.say("hello")
        await tab.until_answered("You said: hello")
        [conversation] = [each async for each in store.memory.conversations()]
        chat = Chat(conversation.place.rpartition("/")[2])
        event = to_event(Act("0" * 16, taken["key"], "regenerate"), chat, at=0.0)
        again = replace(event, id=f"{chat.stem}{taken['key']}:show", kind="show", text="")
        assert await store.inbox.accept(again)
        more = await tab.say("more")
        await tab.until(lambda: more["key"] in tab.final)
        assert {frame["key"] for frame in tab.frames if frame["type"] == "drawn"} == {taken["key"], more["key"]}


async def test_message_that_is_too_long_is_refused_with_its_length(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        refused = await tab.say("x" * 100_000)
        assert refused["type"] == "refused"
        assert "100,000" in refused["text"]
        await tab.say("short")
        await tab.until_answered("You said: short")


@pytest.mark.parametrize(
    "frame",
    [
        "not json",
        "{}",
        "[]",
        b"\xff\xfe",
        {"type": "say", "id": "0123456789abcdef"},
        {"type": "say", "id": "0123456789abcdef", "text": 5},
        {"type": "say", "id": "no/slash", "text": "x"},
        {"type": "say", "id": "0123456789abcdef\n", "text": "x"},
        {"type": "say", "id": "0123456789abcdef", "text": "x", "sampling": {"temperature": 3}},
        {"type": "act", "id": "0123456789abcdef", "on": "0123456789abcdef", "action": "explode"},
        {"type": "forget", "chat": "../x"},
        {"type": "find", "text": "x" * 501},
        {"type": "say", "id": "0123456789abcdef", "text": "x", "more": 1},
        {"type": "unknown"},
    ],
    ids=str,
)
async def test_malformed_frame_gets_a_clear_error_and_the_page_goes_on(serving: Serve, frame: object) -> None:
    async with serving() as url, open_tab(url) as tab:
        await tab.send(frame)
        await tab.until(lambda: tab.frames[-1]["type"] == "trouble")
        assert "cannot be read" in tab.frames[-1]["text"]
        await tab.say("still here")
        await tab.until_answered("You said: still here")


async def test_store_that_is_away_refuses_in_its_own_words(serving: Serve, redis_server: RedisServer) -> None:
    async with serving() as url, open_tab(url) as tab, Redis.from_url(redis_server.url) as redis:
        await redis.config_set("min-replicas-to-write", 1)  # the server refuses to write
        try:
            refused = await tab.say("hello")
        finally:
            await redis.config_set("min-replicas-to-write", 0)
        assert (refused["type"], refused["text"]) == ("refused", StoreUnavailable.reply)
        await tab.say("hello", refused["id"])
        await tab.until_answered("You said: hello")


async def test_mailbox_that_is_full_refuses_in_its_own_words(serving: Serve) -> None:
    async with serving(engine=ScriptedEngine(delay=SLOW)) as url, open_tab(url) as tab:
        await tab.say("word " * 2000)
        answers = [(await tab.say("more"))["type"] for _ in range(260)]
    assert answers[0] == "taken"
    assert answers[-1] == "refused"


async def test_more_pages_than_allowed_are_told_to_wait(serving: Serve) -> None:
    async with serving(max_pages=1) as url, open_tab(url) as tab:
        await tab.say("hello")
        async with open_tab(url, connected=False) as second:
            await second.until(lambda: bool(second.closed_with))
            assert second.closed_with[0] == 1013


async def test_markdown_is_rendered_for_the_page_on_the_server(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        await tab.say("**bold** <script>alert(1)</script>")
        await tab.until(lambda: bool(tab.final))
        (made,) = tab.replies.values()
    assert "<strong>bold</strong>" in made[0]
    assert "<script" not in made[0]
    assert read(made) == "You said: bold <script>alert(1)</script>"
