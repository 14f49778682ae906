"""A Redis that stops taking writes in the middle of a turn, and takes them again: the turn goes on."""

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import pytest
from redis import Redis

from core.engine.scripted import ScriptedEngine
from core.errors import StoreUnavailable
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from tests.core.rooms import Chat, event, remembered, working
from tests.core.store.servers import RedisServer, free_port
from tests.core.store.steps import eventually

Trouble = Callable[[RedisServer], AbstractContextManager[str]]

TEXT = " ".join(f"word{number}" for number in range(40))


@contextmanager
def out_of_memory(server: RedisServer) -> Iterator[str]:
    server.ask("CONFIG SET", "maxmemory", 1)
    yield "reached its maxmemory"
    server.ask("CONFIG SET", "maxmemory", 0)


@contextmanager
def read_only(server: RedisServer) -> Iterator[str]:
    """It has become the replica of a server that is away."""
    server.ask("REPLICAOF", "127.0.0.1", free_port())
    yield "it is a replica"
    server.ask("REPLICAOF", "NO", "ONE")


@contextmanager
def another_password(server: RedisServer) -> Iterator[str]:
    server.ask("CONFIG SET", "requirepass", "another")
    with Redis.from_url(server.url, password="another") as redis:
        redis.execute_command("CLIENT KILL", "TYPE", "normal", "SKIPME", "yes")
        redis.execute_command("CLIENT KILL", "TYPE", "pubsub")
        yield "refuses the user or the password"
        redis.execute_command("CONFIG SET", "requirepass", "")


async def is_refused(store: Store, why: str) -> bool:
    """Whether a new message is refused for that. Connections that break when it begins are told of as well."""
    with pytest.raises(StoreUnavailable) as caught:
        await store.inbox.accept(event(3))
    return why in str(caught.value)


@pytest.mark.parametrize("trouble", [out_of_memory, read_only, another_password])
async def test_turn_in_whose_middle_redis_refuses_goes_on_when_it_takes_writes_again(
    data_dir: Path, trouble: Trouble, caplog: pytest.LogCaptureFixture
) -> None:
    chat = Chat()
    with RedisServer() as server:
        settings = StoreSettings(url=server.url, data_dir=data_dir, patience=0.2)
        async with (
            open_store(settings, lease=0.5, beat_every=0.1) as store,
            working(store, chat.deliver, ScriptedEngine(delay=0.02)),
        ):
            await store.inbox.accept(event(1, TEXT))
            await store.inbox.accept(event(2))
            await chat.until(lambda chat: "word" in chat.texts.get(event(1).id, ""))
            with trouble(server) as why:
                await eventually(lambda: is_refused(store, why))
            assert "word39" not in chat.texts[event(1).id]
            assert await store.inbox.accept(event(3))
            await chat.until(lambda chat: chat.texts.get(event(3).id) == "You said: message 3")
            turns = await remembered(store)
    said = [TEXT, "message 2", "message 3"]
    assert turns[:5] == [said[0], f"You said: {said[0]}", said[1], f"You said: {said[1]}", said[2]]
    assert list(chat.texts.values()) == [f"You said: {text}" for text in said]
    assert "word1" not in caplog.text  # a password may be spoken of
