"""What an operator asks of workers: to leave a platform alone, and to take no work."""

from collections.abc import AsyncIterator

import pytest

from core.engine.scripted import ScriptedEngine
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation, Room
from tests.core.rooms import Chat, event, working

OTHER = Room("other", "bot", {"chat": 2})


@pytest.fixture
async def here(store_settings: StoreSettings) -> AsyncIterator[Store]:
    async with open_store(store_settings, lease=1.0, beat_every=0.05) as opened:
        yield opened


@pytest.fixture
async def elsewhere(store_settings: StoreSettings) -> AsyncIterator[Store]:
    async with open_store(store_settings, lease=1.0, beat_every=0.05) as opened:
        yield opened


async def test_nobody_is_answered_where_the_operator_holds_until_it_is_let_go(here: Store) -> None:
    held, free = Chat(), Chat()
    other = event(2, "from there", room=OTHER, conversation=Conversation.of(OTHER, "chat"))
    await here.fleet.hold("test")
    async with working(here, {"test": held.deliver, "other": free.deliver}):
        await here.inbox.accept(event(1, "from here"))
        await here.inbox.accept(other)
        assert await free.until_finished(1) == ["You said: from there"]
        assert held.texts == {}
        await here.fleet.let_go("test")
        assert await held.until_finished(1) == ["You said: from here"]


async def test_what_is_held_is_known_to_workers_that_come_later(here: Store, elsewhere: Store) -> None:
    await here.fleet.hold("test")
    assert elsewhere.fleet.held == set()
    await elsewhere.fleet.beat()
    assert elsewhere.fleet.held == {"test"}
    await elsewhere.fleet.let_go("test")
    await here.fleet.beat()
    assert here.fleet.held == set()


async def test_resting_worker_leaves_its_reply_to_another_and_takes_no_work(here: Store, elsewhere: Store) -> None:
    text = " ".join(
        f"word{number}" for number in range(1000)
    )  # longer than it takes to hand it over on any machine
    first, second = Chat(), Chat()
    async with working(here, first.deliver, ScriptedEngine(delay=0.02)) as worker:
        await here.inbox.accept(event(1, text))
        await first.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
        async with working(elsewhere, second.deliver):
            await worker.rest()
            assert worker.resting
            assert await second.until_finished(1) == [f"You said: {text}"]
            await here.inbox.accept(event(2, "next"))
            assert (await second.until_finished(2))[1] == "You said: next"
        assert first.finished == []


async def test_resting_worker_that_is_alone_ends_its_reply_and_goes_on_when_it_may(
    here: Store, elsewhere: Store
) -> None:
    chat = Chat()
    async with working(here, chat.deliver, ScriptedEngine(delay=0.02)) as worker:
        await here.inbox.accept(event(1, "one two three"))
        await chat.until(lambda chat: "one" in chat.texts.get(event(1).id, ""))
        await worker.rest()
        assert await chat.until_finished(1) == ["You said: one two three"]
        await here.inbox.accept(event(2, "four"))
        [claim] = await elsewhere.claims.take({"test"}, 1, wait=10.0)  # nobody else has taken it
        await elsewhere.claims.release(claim, begun=False)
        await worker.resume()
        assert await chat.until_finished(2) == ["You said: one two three", "You said: four"]
