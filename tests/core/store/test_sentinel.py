"""A master that goes away, with a sentinel that gives its name to the replica."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from core.store.client import StoreSettings
from core.store.store import open_store
from core.turns import Part
from tests.core.store.events import CONVERSATION, an_event
from tests.core.store.servers import Pair, until
from tests.core.store.steps import accept, answer, complete, take


@pytest.fixture
def pair() -> Iterator[Pair]:
    with ExitStack() as stack:
        yield Pair(stack)


def settings(pair: Pair, data_dir: Path) -> StoreSettings:
    return StoreSettings(url=pair.url, data_dir=data_dir, patience=20.0)


async def test_turn_goes_on_after_a_fail_over_in_its_middle(pair: Pair, data_dir: Path) -> None:
    async with open_store(settings(pair, data_dir), lease=30.0) as store:
        await accept(store, an_event("one"), an_event("two"))
        claim = await take(store)
        await store.claims.showing(claim, 0, "once", 4, final=False)
        await store.claims.shown(claim, 0, "m1")
        async with store.inbox.watch(CONVERSATION) as changes:
            assert (await anext(changes)).text == "once"
            pair.kill_master()
            await store.claims.showing(claim, 0, "once upon", 9, final=False)
            assert (await anext(changes)).text == "once upon"
        assert claim.parts == [Part("once upon", 9, "m1")]
        await complete(store, claim, "once upon a time")
        await store.claims.delivered(claim)
        assert (await answer(store)).event.text == "two"
        turns = await store.memory.turns(CONVERSATION, 9)
        assert [turn.text for turn in turns] == ["one", "once upon a time", "two", "yes"]
        assert pair.replica.ask("INFO", "replication")["role"] == "master"


async def test_what_was_acknowledged_before_a_fail_over_is_there_after_it(pair: Pair, data_dir: Path) -> None:
    async with open_store(settings(pair, data_dir), lease=30.0) as store, asyncio.TaskGroup() as group:
        await accept(store, an_event("one"))
        claim = await take(store)
        await complete(store, claim)
        with pair.replica.paused():
            accepting = [group.create_task(accept(store, an_event(str(number)))) for number in range(20)]
            await asyncio.to_thread(until, lambda: pair.master.ask("INFO", "clients")["blocked_clients"] > 0)
            assert not any(task.done() for task in accepting)  # the replica does not have them
        await asyncio.gather(*accepting)
        pair.kill_master()
        waiting = await store.inbox.turns(CONVERSATION, 9)
        assert [turn.text for turn in waiting] == ["one", "yes", *map(str, range(20))]
        await store.claims.delivered(claim)
        assert (await answer(store)).event.text == "0"
