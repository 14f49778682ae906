"""A worker that ends at each step of a turn, before the store has the step and after: another one goes on.

A step whose request is held was not taken by the store; one whose answer is held was, and the worker never knows.
Between `showing` and `shown` lies the call to the platform.
"""

from dataclasses import replace
from typing import Literal

import pytest

from core.engine.scripted import ScriptedEngine
from core.store.client import StoreSettings
from core.store.scripts import ScriptName
from core.store.store import Store, open_store
from tests.core.rooms import Chat, event, remembered, working
from tests.core.store.lossy import lossy
from tests.core.store.servers import RedisServer

STEPS: list[ScriptName] = ["claim", "showing", "shown", "complete", "delivered"]


@pytest.mark.parametrize("held", ["request", "answer"])
@pytest.mark.parametrize("step", STEPS)
async def test_turn_whose_worker_ends_at_any_step_is_answered_once_and_in_order(
    store: Store,
    store_settings: StoreSettings,
    redis_server: RedisServer,
    step: ScriptName,
    held: Literal["request", "answer"],
) -> None:
    chat = Chat()
    await store.inbox.accept(event(1))
    await store.inbox.accept(event(2))
    async with (
        lossy(redis_server.folder, redis_server.url) as (way, url),
        way.holding(step, held) as is_held,
        open_store(replace(store_settings, url=url)) as dying,
        working(dying, chat.deliver, ScriptedEngine(delay=0.01)),
    ):
        await is_held.wait()
    redis_server.end_leases()
    async with working(store, chat.deliver):
        await chat.until(lambda chat: chat.texts.get(event(2).id) == "You said: message 2")
    assert list(chat.texts.items()) == [
        (event(1).id, "You said: message 1"),
        (event(2).id, "You said: message 2"),
    ]
    turns = ["message 1", "You said: message 1", "message 2", "You said: message 2"]
    assert await remembered(store) == turns
