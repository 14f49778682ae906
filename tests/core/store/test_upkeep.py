"""Old turns go, and an older layout becomes today's, while everybody works; on a real server."""

import asyncio
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from core.errors import StoreUnavailable
from core.store.aside import Aside
from core.store.background import background
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.records import VERSION, Records
from core.store.retention import Retention
from core.store.store import Store, open_store
from core.store.upkeep import Upkeep
from core.summary import Summaries, Summary
from core.turns import Conversation, Turn
from tests.core.store.events import ROOM, an_event, two_turns
from tests.core.store.servers import RedisServer
from tests.core.store.steps import accept, answer, ended_after, eventually, take

WEEK = timedelta(days=7)
DAY = 86400.0
PLACES = [Conversation.of(ROOM, f"place {number}") for number in range(40)]


def upkeep(store: Store, *, keep: timedelta | None = WEEK, max_turns: int = 2000) -> Upkeep:
    retention = Retention(store.client, Aside(store.client, store.inbox), keep=keep, max_turns=max_turns)
    return Upkeep(store.client, retention, pause=0, look_every=0.01)


async def said(store: Store, where: Conversation, *days_ago: float) -> None:
    """An answered message for each of these times."""
    await accept(store, an_event(conversation=where))
    claim = await take(store)
    turns: list[Turn] = []
    for days in days_ago:
        event = replace(claim.event, text=f"{days} days ago", id=f"{claim.event.id}/{days}")
        pair = two_turns(event, "yes", last=claim.last + len(turns))
        turns += [replace(turn, at=time.time() - days * DAY) for turn in pair]
    await store.claims.complete(claim, turns=turns, text="yes", window=1)
    await store.claims.delivered(claim)


async def texts(store: Store, where: Conversation) -> list[str]:
    return [turn.text for turn in await store.memory.turns(where, 2000)]


async def left_of(store: Store, where: Conversation) -> list[str]:
    keys = [store.client.keys.conversation(kind, where) for kind in ("c", "q", "t", "r")]
    there = [key for key in keys if await store.client.ask("EXISTS", key, key=key)]
    return [store.client.keys.parse(key)[0] for key in there]


async def test_idle_conversation_goes_whole_when_its_last_turn_is_too_old(store: Store) -> None:
    await said(store, PLACES[0], 9, 8)
    await said(store, PLACES[1], 6)
    await upkeep(store).once()
    assert await left_of(store, PLACES[0]) == []
    assert await texts(store, PLACES[1]) == ["6 days ago", "yes"]
    await accept(store, an_event(conversation=PLACES[0]))
    assert (await answer(store)).last == 2


async def test_old_turns_of_a_lively_conversation_go_and_it_stays_as_it_is(store: Store) -> None:
    await said(store, PLACES[0], *range(300, 0, -1))
    await upkeep(store).once()
    assert (await texts(store, PLACES[0]))[::2] == [f"{days} days ago" for days in (6, 5, 4, 3, 2, 1)]
    await said(store, PLACES[0], 0)
    assert [turn.number for turn in await store.memory.turns(PLACES[0], 2)] == [601, 602]


async def test_answer_goes_with_its_question(store: Store) -> None:
    await accept(store, an_event("asked before", conversation=PLACES[0]), an_event("new", conversation=PLACES[0]))
    for at in (time.time() - WEEK.total_seconds() - 60, time.time()):
        claim = await take(store)
        asked, answered = two_turns(claim.event, "answered after", last=claim.last)
        turns = [replace(asked, at=at), replace(answered, at=at + 120)]
        await store.claims.complete(claim, turns=turns, text="", window=1)
        await store.claims.delivered(claim)
    await upkeep(store).once()
    assert await texts(store, PLACES[0]) == ["new", "answered after"]


async def test_what_waits_is_answered_after_all_before_it_has_gone(store: Store) -> None:
    await said(store, PLACES[0], 9)
    await accept(store, an_event("waits", conversation=PLACES[0]))
    await upkeep(store).once()
    assert await texts(store, PLACES[0]) == []
    claim = await answer(store)
    assert (claim.event.text, claim.window[0].number) == ("waits", 3)


async def test_without_an_age_only_what_is_too_much_goes(store: Store) -> None:
    await said(store, PLACES[0], 9, 8, 7)
    await upkeep(store, keep=None, max_turns=4).once()
    assert (await texts(store, PLACES[0]))[::2] == ["8 days ago", "7 days ago"]


async def test_what_was_set_aside_goes_by_age_too(store: Store) -> None:
    aside = Aside(store.client, store.inbox)
    await aside.put(an_event(), 3)
    await upkeep(store).once()
    assert len(await aside.all()) == 1
    await upkeep(store, keep=timedelta(seconds=-5)).once()
    assert await aside.all() == []


@asynccontextmanager
async def kept_up(*passes: Upkeep) -> AsyncIterator[None]:
    async with background() as tasks:
        for each in passes:
            tasks.start(each.run)
        yield


async def test_one_process_makes_the_pass_and_another_one_begins_it_again_after_a_kill(store: Store) -> None:
    await said(store, PLACES[0], 9)
    dead = upkeep(store)
    assert await dead._is_due()
    async with kept_up(upkeep(store), upkeep(store)):
        await asyncio.sleep(0.1)  # they look every 10 ms
        assert await left_of(store, PLACES[0]) == ["c", "t"]
        await store.client.ask("PEXPIRE", dead._key, 1, key=dead._key)

        async def gone() -> bool:
            return await left_of(store, PLACES[0]) == []

        assert await eventually(gone)
    assert 3500 < await store.client.ask("TTL", dead._key, key=dead._key) <= 3600


# From one layout to the next.


class FirstRecords(Records):
    """As the first version wrote them: without a head."""

    def _wrap(self, body: bytes) -> bytes:
        return body


async def make_old(store: Store) -> list[Any]:
    """Fill a store as the first version would have: every kind of record there is."""
    store.client.records.__class__ = FirstRecords
    for place in PLACES:
        await said(store, place, 2, 1)
    await accept(store, an_event("a pirate", kind="persona", conversation=PLACES[0]))
    claim = await take(store)
    await store.claims.complete(claim, turns=(), text="aye", window=1, persona="a pirate")
    await store.claims.delivered(claim)
    summary = store.client.keys.conversation("c", PLACES[1])
    summaries = store.client.records.encode(Summaries(Summary("the first days", 1)))
    await store.client.ask("HSET", summary, "summary", summaries, key=summary)
    await accept(store, an_event("under way", conversation=PLACES[2]), an_event("waits", conversation=PLACES[2]))
    claim = await take(store)
    await store.claims.showing(claim, 0, "so f", 4, final=False)
    await Aside(store.client, store.inbox).put(an_event("set aside", conversation=PLACES[3]), 3)
    schema = store.client.keys.schema
    await store.client.ask("DEL", schema, key=schema)
    return [claim]


async def older_records(server: RedisServer) -> int:
    """How many keys hold something without a head."""
    found = 0
    for key in server.ask("KEYS", "{trialogue.*"):
        kind = key.partition("}:")[2].partition(":")[0]
        if kind in ("t", "q"):
            found += any(not record.startswith("\udcc1") for record in raw(server, "LRANGE", key, 0, -1))
        elif kind in ("c", "p", "r"):
            fields = dict(zip(*[iter(raw(server, "HGETALL", key))] * 2, strict=True))
            names = {"summary", "persona", "event", "text", "p0"} & fields.keys()
            found += any(not fields[name].startswith("\udcc1") for name in names)
        elif key.endswith(":v:aside"):
            found += any(not value.partition(" ")[2].startswith("\udcc1") for value in raw(server, "HVALS", key))
    return found


def raw(server: RedisServer, *command: str | int) -> list[str]:
    from redis import Redis

    with Redis.from_url(server.url, protocol=2) as redis:
        answer = redis.execute_command(*command)
    flat = [part for pair in answer.items() for part in pair] if isinstance(answer, dict) else answer
    return [part.decode(errors="surrogateescape") for part in flat]


async def test_older_store_is_brought_forward_while_others_work_also_after_a_kill(
    store: Store, store_settings: StoreSettings, redis_server: RedisServer
) -> None:
    [claim] = await make_old(store)
    before = await older_records(redis_server)
    assert before > 40
    async with open_store(store_settings) as new:
        assert await upkeep(new).oldest() == 1
        with ended_after(20, "swap", new), pytest.raises(StoreUnavailable, match="ended here"):
            await upkeep(new, keep=None).once()
        assert 0 < await older_records(redis_server) < before
        assert await upkeep(new).oldest() == 1
        store.client.records.__class__ = Records
        async with kept_up(upkeep(new, keep=None)):
            await accept(new, an_event("meanwhile", conversation=PLACES[4]))
            assert (await answer(new)).event.text == "meanwhile"

            async def brought() -> bool:
                return await upkeep(new).oldest() == VERSION

            await eventually(brought)
        assert await older_records(redis_server) == 0
        await finish(store, claim)
        found = await take(new)
        assert (found.event.text, found.window[-1].text) == ("waits", "so far")
        assert await texts(new, PLACES[5]) == ["2 days ago", "yes", "1 days ago", "yes"]
        for place, persona, summary in ((PLACES[0], "a pirate", ""), (PLACES[1], None, "the first days")):
            await accept(new, an_event(conversation=place))
            taken = await take(new)
            assert (taken.persona, taken.summaries.newest.text) == (persona, summary)
        [entry] = await Aside(new.client, new.inbox).all()
        assert entry.event.text == "set aside"


async def finish(store: Store, claim: Claim) -> None:
    turns = [replace(turn, at=time.time()) for turn in two_turns(claim.event, "so far", last=claim.last)]
    await store.claims.complete(claim, turns=turns, text="so far", window=1)
    await store.claims.delivered(claim)


async def test_store_of_a_newer_version_is_refused(store: Store, store_settings: StoreSettings) -> None:
    schema = store.client.keys.schema
    await store.client.ask("HSET", schema, "newest", VERSION + 1, key=schema)
    with pytest.raises(
        StoreUnavailable, match=f"newer version .*layout {VERSION + 1}, and this one knows {VERSION}"
    ):
        async with open_store(store_settings):
            pass


async def test_new_store_has_todays_layout_from_the_start(store: Store) -> None:
    assert await upkeep(store).oldest() == VERSION


def test_record_of_a_newer_version_is_refused_and_an_older_reader_refuses_ours() -> None:
    import msgspec

    turn = Turn(number=1, role="user", text="secret")
    ours = Records().encode(turn)
    assert Records().decode(Turn, ours) == turn
    assert Records().decode(Turn, ours[2:]) == turn
    with pytest.raises(StoreUnavailable, match="newer version") as caught:
        Records().decode(Turn, bytes([0xC1, VERSION + 1]) + ours[2:])
    assert "secret" not in str(caught.value)
    with pytest.raises(msgspec.DecodeError):
        msgspec.msgpack.decode(ours, type=Turn)
    assert Records().decode_text(b"of the first version") == "of the first version"
