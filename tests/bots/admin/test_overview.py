"""What the operator is shown, over HTTP."""

from contextlib import AsyncExitStack
from typing import Any

import pytest

from bots.app import Plan
from bots.app import running as run_plan
from bots.bot import Bot
from bots.http.admin.stream import MOST_PAGES
from core.engine.local import LocalEngine, LocalSettings
from core.engine.scheduler import SchedulerSettings
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from core.turns import Conversation
from tests.bots.admin.conftest import OFTEN, SERVED, Operator
from tests.bots.instruments.room import ROOM, RoomAdapter
from tests.core.engine.tiny import byte_level, loaded
from tests.running import QUICK, running


async def test_turn_under_way_is_shown_by_its_room_and_never_by_its_words(bot: Bot, room: RoomAdapter) -> None:
    operator = Operator(bot)
    room.say("zanzibar " * 100)
    state = await operator.until(lambda state: any(process["turns"] for process in state["processes"]))
    [process] = state["processes"]
    [turn] = process["turns"]
    assert (turn["conversation"], turn["platform"], turn["doing"]) == ("room/bot/here", "room", "writing")
    assert (process["role"], process["model"]["name"], process["model"]["load"]["running"]) == ("all", "echo", 1)
    assert [(each["name"], each["state"], each["events"]) for each in process["platforms"]] == [
        ("room", "listening", 1)
    ]
    assert "zanzibar" not in str(state)


async def test_processes_that_serve_no_page_are_shown_too(bot: Bot, store: Store) -> None:
    plan = Plan(engine=ScriptedEngine(), adapters=[RoomAdapter()], listen=False, worker=QUICK, show_every=OFTEN)
    operator = Operator(bot)
    async with run_plan(store, plan, lambda _line: None):
        state = await operator.until(lambda state: len(state["processes"]) == 2)
        assert [process["role"] for process in state["processes"]] == ["all", "work"]
    await operator.until(lambda state: len(state["processes"]) == 1)


async def test_who_waits_for_the_model_is_shown_with_the_place_in_line(store: Store, room: RoomAdapter) -> None:
    one_at_a_time = LocalSettings(kv_cache_gb=0.05, scheduler=SchedulerSettings(max_running=1))
    engine = LocalEngine(loaded(byte_level(), context=4096), one_at_a_time)
    async with running(room, store=store, engine=engine, address=SERVED, show_every=OFTEN) as bot:
        for name in ("first", "second", "third"):
            room.say("hello", Conversation.of(ROOM, name))

        def in_line(state: Any) -> list[int]:
            return [turn["place"] for turn in state["processes"][0]["turns"] if turn["doing"] == "waiting"]

        state = await Operator(bot).until(lambda state: bool(state["processes"]) and in_line(state) == [1, 2])
        assert state["processes"][0]["model"]["load"]["waiting"] == 2


async def test_history_comes_first_and_grows(bot: Bot) -> None:
    async with Operator(bot).watching() as events:
        assert await anext(events) == ("history", [])
        async for _, state in events:
            if state["kept"]:
                break
    async with Operator(bot).watching() as events:
        event, points = await anext(events)
    assert (event, points[-1]) == ("history", state["point"])


async def test_open_pages_are_let_go_when_the_bot_stops(store: Store, caplog: pytest.LogCaptureFixture) -> None:
    async with AsyncExitStack() as stack:
        async with running(store=store, engine=ScriptedEngine(), address=SERVED, show_every=OFTEN) as bot:
            events = await stack.enter_async_context(Operator(bot).watching())
            assert (await anext(events))[0] == "history"
        assert {event async for event, _ in events} <= {"now"}, "it ends as an answer does"
    assert "ASGI" not in caplog.text


async def test_pages_are_bounded(bot: Bot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("bots.http.admin.stream.MOST_PAGES", 1)
    assert MOST_PAGES > 1
    async with Operator(bot).watching() as events:
        await anext(events)
        assert (await Operator(bot).get("/admin/stream")).status_code == 503
