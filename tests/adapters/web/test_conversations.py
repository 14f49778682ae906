"""The conversations of a browser, by tabs that talk with a real bot: listed, searched, renamed, deleted."""

import json
from typing import Any

from redis.asyncio import Redis

from core import notices
from core.store import titles
from core.store.store import Store
from tests.adapters.web.conftest import Serve
from tests.adapters.web.tab import Tab, open_tab
from tests.contracts.test_actions import Busy
from tests.core.store.servers import RedisServer

FIRST, SECOND = "a" * 16, "b" * 16


def listed(tab: Tab) -> list[tuple[str, str]]:
    return [(item["chat"], item["title"]) for item in tab.chats]


async def until_listed(tab: Tab, *items: tuple[str, str]) -> None:
    await tab.until(lambda: listed(tab) == list(items))


async def asked(tab: Tab, text: str) -> dict[str, Any]:
    await tab.send({"type": "find", "text": text})
    found: list[dict[str, Any]] = []

    def answered() -> bool:
        found[:] = [frame for frame in tab.frames if frame["type"] == "chats" and frame["text"] == text]
        return bool(found)

    await tab.until(answered)
    return found[-1]


async def test_each_conversation_has_a_memory_and_a_title_of_its_own(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as one:
        await one.say("hello to the first")
        await one.until_answered("You said: hello to the first")
        async with open_tab(url, one.cookie, SECOND) as other:
            assert other.replies == {}
            await other.say("and to the second")
            await other.until_answered("You said: and to the second")
            await until_listed(other, (SECOND, "and to the second"), (FIRST, "hello to the first"))
        assert one.texts() == ["You said: hello to the first"]


async def test_page_opens_the_conversation_that_was_spoken_in_last(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as one:
        await one.say("one")
        await one.until_answered("You said: one")
        async with open_tab(url, one.cookie, SECOND) as two:
            await two.say("two")
            await two.until_answered("You said: two")
        await one.say("one more")
        await one.until_answered("You said: one", "You said: one more")
        async with open_tab(url, one.cookie) as late:
            assert late.chat == FIRST
            assert late.texts() == ["You said: one", "You said: one more"]


async def test_what_was_said_before_there_were_lists_is_listed(serving: Serve, store: Store) -> None:
    async with serving() as url, open_tab(url) as old:
        await old.say("long ago")
        await old.until_answered("You said: long ago")
        [conversation] = [each async for each in store.memory.conversations()]
        await store.library.drop(conversation)
        async with open_tab(url, old.cookie) as again:
            assert again.texts() == ["You said: long ago"]
            await until_listed(again, ("", "long ago"))


async def test_commands_list_no_conversation_and_reset_takes_it_from_the_list(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as tab:
        await tab.say("/help")
        await tab.say("a secret")
        await until_listed(tab, (FIRST, "a secret"))
        await tab.say("/reset")
        await until_listed(tab)
        await tab.say("anew")
        await until_listed(tab, (FIRST, "anew"))


async def test_conversation_is_renamed(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as tab:
        await tab.say("hello")
        await tab.send({"type": "rename", "chat": FIRST, "title": "A better title"})
        await until_listed(tab, (FIRST, "A better title"))


async def test_deleted_conversation_is_forgotten(serving: Serve, store: Store) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as tab:
        await tab.say("a secret")
        await tab.until_answered("You said: a secret")
        async with open_tab(url, tab.cookie, SECOND) as other:
            await other.say("stays")
            await other.until_answered("You said: stays")
            await other.send({"type": "forget", "chat": FIRST})
            await until_listed(other, (SECOND, "stays"))
        async with open_tab(url, tab.cookie, FIRST) as again:
            assert again.replies == {}
        assert len([each async for each in store.memory.conversations()]) == 1


async def test_person_who_is_forgotten_has_an_empty_page_and_an_empty_list(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as tab:
        await tab.say("a secret")
        await tab.until_answered("You said: a secret")
        await until_listed(tab, (FIRST, "a secret"))
        await tab.say("/forget everything")
        await tab.until(lambda: any(frame.get("only") for frame in tab.frames))
        assert tab.said == {}
        await until_listed(tab)


async def test_search_looks_into_titles_and_into_what_was_said(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as tab:
        await tab.say("About rivers. " + "And much more. " * 10 + "The Rhine flows north.")
        await tab.until(lambda: bool(tab.final))
        async with open_tab(url, tab.cookie, SECOND) as other:
            await other.say("About bread")
            await other.until_answered("You said: About bread")
            [found] = (await asked(other, "rhine"))["items"]
            assert (found["chat"], "Rhine" in found["excerpt"]) == (FIRST, True)
            [found] = (await asked(other, "BREAD"))["items"]
            assert (found["chat"], found["excerpt"]) == (SECOND, "")
            assert (await asked(other, "nowhere"))["items"] == []


async def test_nobody_lists_renames_or_deletes_what_another_browser_has(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as ann, open_tab(url, chat=FIRST) as bob:
        await ann.say("a secret")
        await ann.until_answered("You said: a secret")
        await bob.send({"type": "rename", "chat": FIRST, "title": "mine"})
        await bob.send({"type": "forget", "chat": FIRST})
        await asked(bob, "secret")
        assert bob.chats == []
        await asked(ann, "secret")
        assert listed(ann) == [(FIRST, "a secret")]
        assert "a secret" not in json.dumps([frame for frame in bob.frames if frame.get("text") != "secret"])
        async with open_tab(url, ann.cookie, FIRST) as again:
            assert again.texts() == ["You said: a secret"]


async def test_more_conversations_than_are_kept_are_refused_in_words(serving: Serve, monkeypatch: Any) -> None:
    monkeypatch.setattr(titles, "MOST", 1)
    async with serving() as url, open_tab(url, chat=FIRST) as tab:
        await tab.say("one")
        async with open_tab(url, tab.cookie, SECOND) as other:
            refused = await other.say("two")
            assert (refused["type"], "delete one" in refused["text"]) == ("refused", True)
            assert (await tab.say("more of one"))["type"] == "taken"


def news(tab: Tab, what: str) -> list[dict[str, Any]]:
    return [frame for frame in tab.frames if frame["type"] == "news" and frame["what"] == what]


async def test_other_pages_of_the_owner_are_told_what_is_new_in_the_list(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as one, open_tab(url, one.cookie, SECOND) as other:
        await one.say("hello")
        await until_listed(other, (FIRST, "hello"))
        await other.until(lambda: bool(news(other, "answered")))
        assert [frame["chat"] for frame in news(other, "answered")] == [FIRST]
        await one.send({"type": "rename", "chat": FIRST, "title": "A better title"})
        await until_listed(other, (FIRST, "A better title"))
        await other.send({"type": "forget", "chat": FIRST})
        await until_listed(one)
        await one.until(lambda: bool(news(one, "gone")))
        assert [frame["chat"] for frame in news(one, "gone")] == [FIRST]


async def test_nobody_else_is_told(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as ann, open_tab(url, chat=FIRST) as bob:
        await ann.say("a secret")
        await ann.until(lambda: bool(news(ann, "answered")))
        await bob.say("hello")
        await bob.until(lambda: bool(news(bob, "answered")))
        assert len(news(bob, "answered")) == 1


async def test_commands_are_no_news(serving: Serve) -> None:
    async with serving() as url, open_tab(url, chat=FIRST) as one, open_tab(url, one.cookie, SECOND) as other:
        taken = await one.say("/help")
        await one.until(lambda: taken["key"] in one.final)
        await one.say("hello")
        await other.until(lambda: bool(news(other, "answered")))
        assert len(news(other, "answered")) == 1


async def test_list_is_told_anew_when_news_may_have_been_lost(
    serving: Serve, store: Store, redis_server: RedisServer
) -> None:
    """A connection that breaks loses what is published meanwhile."""
    async with serving() as url, open_tab(url, chat=FIRST) as tab, Redis.from_url(redis_server.url) as redis:
        taken = await tab.say("hello")
        await tab.until(lambda: taken["key"] in tab.final)  # then it is in memory, too
        await until_listed(tab, (FIRST, "hello"))
        [conversation] = [each async for each in store.memory.conversations()]
        key = store.client.keys.place(conversation)
        field = titles.PREFIX + FIRST.encode()
        await redis.hdel(key, field)  # behind everybody's back
        await redis.client_kill_filter(_type="pubsub")
        await until_listed(tab)


async def test_place_in_line_is_told_to_the_pages_that_show_the_conversation(serving: Serve) -> None:
    engine = Busy()
    async with (
        serving(engine=engine) as url,
        open_tab(url, chat=FIRST) as one,
        open_tab(url, one.cookie, FIRST) as same,
        open_tab(url, one.cookie, SECOND) as other,
    ):
        taken = await one.say("hello")
        for place in (3, 1):
            engine.place = place
            sentence = notices.in_line(place, 14.0).strip("_")
            told = {"type": "news", "chat": FIRST, "what": "waiting", "key": taken["key"], "text": sentence}
            for tab in (one, same):
                await tab.until(lambda tab=tab, told=told: told in tab.frames)  # type: ignore[misc]
        engine.free.set()
        await one.until_answered("You said: hello")
        await other.until(lambda: bool(news(other, "answered")))
        assert news(other, "waiting") == []
