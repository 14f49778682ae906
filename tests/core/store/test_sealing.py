"""What people said is nowhere in the clear where there is a key, and keys are changed while everything works."""

import base64
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from redis.asyncio import Redis

from core.errors import StoreUnavailable
from core.store.aside import Aside
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.export import Exporter
from core.store.forget import Forget, Person
from core.store.importing import Importer, encode_line
from core.store.records import Records, Unreadable
from core.store.renewal import rotate
from core.store.sealing import BadKey, CannotOpen, Keyring
from core.store.store import Store, open_store
from core.summary import Summaries, Summary
from core.turns import Conversation, Event, Kind, Speaker, Turn
from tests.core.store.events import CONVERSATION, ROOM, an_event
from tests.core.store.servers import RedisServer
from tests.core.store.steps import accept, answer, complete, ended_after, take

OLD, NEW, OTHER = (base64.b64encode(bytes([number]) * 32).decode() for number in (1, 2, 3))
WORDS = (
    "Annabella",
    "asked once",
    "answered once",
    "waits here",
    "shown so far",
    "a pirate",
    "in short",
    "set aside",
    "greets",
)


def said(text: str, kind: Kind = "message") -> Event:
    return replace(an_event(text, kind=kind), speaker=Speaker("p1", "Annabella"))


@asynccontextmanager
async def keyed(settings: StoreSettings, *keys: str) -> AsyncIterator[Store]:
    async with open_store(replace(settings, encryption_keys=keys)) as opened:
        yield opened


async def say_everything(store: Store) -> None:
    """One of each kind of text that a store holds."""
    await accept(store, said("asked once"))
    await answer(store, "answered once")
    await accept(store, said("a pirate", "persona"))
    claim = await take(store)
    await store.claims.complete(claim, turns=(), text="aye", window=1, persona="a pirate")
    await store.claims.delivered(claim)
    state = store.client.keys.conversation("c", CONVERSATION)
    summaries = store.client.records.encode(Summaries(Summary("in short", 2)))
    await store.client.ask("HSET", state, "summary", summaries, key=state)
    await accept(store, said("waits here"), said("waits here too"), said("greets", "start"))
    claim = await take(store)
    async with store.inbox.watch(CONVERSATION) as changes:
        await store.claims.showing(claim, 0, "shown so far", 12, final=False)
        assert (await anext(changes)).text == "shown so far"
    await store.claims.release(claim)
    await Aside(store.client, store.inbox).put(said("set aside"), 3)


async def take_of(store: Store, where: Conversation) -> Claim:
    while (claim := await take(store)).conversation != where:
        await store.claims.release(claim, begun=False)
    return claim


async def is_all_there(store: Store) -> bool:
    claim = await take_of(store, CONVERSATION)
    [entry] = await Aside(store.client, store.inbox).all()
    found = (
        [turn.text for turn in claim.window],
        claim.persona,
        claim.summaries.newest.text,
        claim.event.text,
        claim.parts[0].text,
    )
    await store.claims.release(claim)
    wanted = ["asked once", "answered once"], "a pirate", "in short", "waits here", "shown so far"
    return found == wanted and entry.event.text == "set aside"


def in_the_clear(server: RedisServer) -> list[str]:
    content = b"".join(file.read_bytes() for file in (server.folder / "appendonlydir").iterdir())
    return [word for word in WORDS if word.encode() in content]


async def test_no_word_and_no_name_reaches_the_server_in_the_clear(data_dir: Path) -> None:
    with RedisServer() as server:
        settings = StoreSettings(url=server.url, data_dir=data_dir)
        async with keyed(settings, NEW) as store:
            await say_everything(store)
            assert await is_all_there(store)
        assert in_the_clear(server) == []
        assert "Annabella" not in str(server.ask("KEYS", "*"))


async def test_without_the_key_the_start_is_refused(store_settings: StoreSettings) -> None:
    async with keyed(store_settings, OLD, NEW):
        pass
    with pytest.raises(StoreUnavailable, match="is encrypted: set redis"):
        async with keyed(store_settings):
            pass
    with pytest.raises(StoreUnavailable, match="lacks the key") as caught:
        async with keyed(store_settings, NEW, OTHER):
            pass
    assert not any(key in str(caught.value) for key in (OLD, NEW, OTHER))
    async with keyed(store_settings, NEW, OLD):
        pass


async def test_plain_records_stay_readable_until_they_are_encrypted(
    store_settings: StoreSettings, redis_server: RedisServer
) -> None:
    async with keyed(store_settings) as store:
        await say_everything(store)
    async with keyed(store_settings, NEW) as store:
        assert await is_all_there(store)
        assert await rotate(store.client) > 7
        assert await is_all_there(store)
        assert await rotate(store.client) == 0
        kept = [raw for raw in await values(redis_server) if any(word.encode() in raw for word in WORDS)]
        assert [raw for raw in kept if b"greets" not in raw] == [], "a greeting is gone in a minute"


async def values(server: RedisServer) -> list[Any]:
    """All that is in the server's lists, hashes and streams."""
    async with Redis.from_url(server.url, protocol=2) as client:
        redis: Any = client
        found: list[Any] = []
        for key in await redis.keys("*"):
            kind = (await redis.type(key)).decode()
            if kind == "list":
                found += await redis.lrange(key, 0, -1)
            elif kind == "hash":
                found += (await redis.hgetall(key)).values()
            elif kind == "stream":
                found += [value for _, fields in await redis.xrange(key) for value in fields.values()]
        return found


async def test_key_is_changed_while_others_work_and_the_old_one_may_go(store_settings: StoreSettings) -> None:
    async with keyed(store_settings, OLD) as store:
        await say_everything(store)
        places = [Conversation.of(ROOM, f"place {number}") for number in range(20)]
        await accept(store, *(an_event("asked once", conversation=place) for place in places))
    async with keyed(store_settings, NEW, OLD) as store, keyed(store_settings, NEW, OLD) as other:
        claim = await take_of(other, places[7])
        with ended_after(5, "swap", store), pytest.raises(StoreUnavailable, match="ended here"):
            await rotate(store.client)
        assert await rotate(store.client) > 0
        await complete(other, claim)
        await other.claims.delivered(claim)
    async with keyed(store_settings, NEW) as store:
        assert await is_all_there(store)
        await Forget(store.client, store.inbox).person(Person("web", "p1"))
        assert [place async for place in store.memory.conversations() if await store.memory.turns(place, 9)] == []


async def test_export_is_in_the_clear_and_comes_into_a_store_with_another_key(
    store_settings: StoreSettings,
) -> None:
    async with (
        keyed(replace(store_settings, prefix="a"), OLD) as store,
        keyed(replace(store_settings, prefix="b"), NEW) as other,
    ):
        await say_everything(store)
        lines = [encode_line(record) async for record in Exporter(store.client, store.inbox).everything()]
        await Importer(other.client, other.inbox, most=9).read(lines)
        claim = await take(other)
        assert ([turn.text for turn in claim.window], claim.persona) == (
            ["asked once", "answered once"],
            "a pirate",
        )


def test_damaged_record_and_bad_key_are_refused_without_a_word() -> None:
    records, turn = Records(Keyring([NEW, OLD])), Turn(number=1, role="user", text="secret")
    sealed = records.encode(turn)
    assert records.decode(Turn, sealed) == turn
    assert sealed != records.encode(turn), "each has a nonce of its own"
    for damaged in (sealed[:-1] + bytes([sealed[-1] ^ 1]), sealed[:10], sealed[:3]):
        with pytest.raises(Unreadable, match="cannot be decrypted"):
            records.decode(Turn, damaged)
    with pytest.raises(Unreadable, match="set redis"):
        Records().decode(Turn, sealed)
    with pytest.raises(CannotOpen, match="is not among"):
        Keyring([OTHER]).open(sealed[2:])
    for bad in ("", "c2hvcnQ=", "no base64!", NEW[:-4]):
        with pytest.raises(BadKey) as caught:
            Keyring([bad])
        assert not bad or bad not in str(caught.value)
    assert NEW not in repr(Keyring([NEW]))
