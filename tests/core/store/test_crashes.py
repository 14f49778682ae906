"""Everything is killed again and again while it works; each message is still answered once, and in order."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

from core.errors import CoreError
from core.store.claim import Claim
from core.store.client import StoreSettings
from core.store.store import Store, open_store
from core.turns import Conversation, Event, key_of
from tests.core.store.events import ROOM, an_event, two_turns
from tests.core.store.servers import RedisServer
from tests.core.store.steps import PATIENCE, eventually

LEASE = 0.3


class Platform:
    """A platform whose sends have a key: the same key gives the same message."""

    def __init__(self) -> None:
        self.messages: dict[str, str] = {}
        self._sent = asyncio.Event()

    def send(self, key: str, text: str) -> None:
        self.messages[key] = text
        self._sent.set()

    async def has(self, count: int) -> None:
        """Return when so many messages stand there."""
        async with asyncio.timeout(PATIENCE):
            while len(self.messages) < count:
                self._sent.clear()
                await self._sent.wait()


async def work(store: Store, platform: Platform) -> None:
    while True:
        with suppress(CoreError):
            for claim in await store.claims.take(["web"], 4, wait=0.1):
                with suppress(CoreError):
                    await answer(store, claim, platform)


async def answer(store: Store, claim: Claim, platform: Platform) -> None:
    if claim.phase == "answering":
        text = f"answer to {claim.event.text}"
        await store.claims.complete(
            claim, turns=two_turns(claim.event, text, last=claim.last), text=text, window=1
        )
    await store.claims.showing(claim, 0, claim.text, len(claim.text), final=True)
    platform.send(key_of(claim.conversation, claim.event.id, 0), claim.text)
    await store.claims.shown(claim, 0, "m")
    await store.claims.delivered(claim)


async def a_process(settings: StoreSettings, platform: Platform) -> None:
    """One worker that is never told that it ends."""
    with suppress(CoreError):
        async with open_store(settings, lease=LEASE) as store:
            await work(store, platform)


async def deliver_until_taken(store: Store, event: Event) -> None:
    """What a platform does: it delivers again until it is told that we have it."""

    async def taken() -> bool:
        with suppress(CoreError):
            await store.inbox.accept(event)
            return True
        return False

    await eventually(taken)


async def talk(store: Store, conversation: Conversation, count: int) -> None:
    for number in range(count):
        await deliver_until_taken(store, an_event(str(number), conversation=conversation))


async def killings(server: RedisServer, settings: StoreSettings, platform: Platform) -> AsyncIterator[None]:
    """Workers come and are killed while they answer; every third time the server goes with them."""
    for number in range(9):
        async with asyncio.TaskGroup() as group:
            workers = [group.create_task(a_process(settings, platform)) for _ in range(2)]
            await platform.has(number * 11 + 3)
            if number % 3 == 2:
                server.kill()
                server.ensure()
            for worker in workers:
                worker.cancel()
        yield


async def test_each_message_is_answered_once_and_in_order_whatever_is_killed(data_dir: Path) -> None:
    conversations = [Conversation.of(ROOM, f"crash{i}") for i in range(12)]
    count, platform = 12, Platform()
    with RedisServer() as server:
        settings = StoreSettings(url=server.url, data_dir=data_dir, patience=1.0)
        async with open_store(settings, lease=LEASE) as store, asyncio.TaskGroup() as group:
            for conversation in conversations:
                group.create_task(talk(store, conversation, count))
            async for _ in killings(server, settings, platform):
                pass
            last = group.create_task(a_process(settings, platform))
            await platform.has(count * len(conversations))
            last.cancel()
            for conversation in conversations:
                turns = await store.memory.turns(conversation, 10 * count)
                assert [turn.text for turn in turns if turn.role == "user"] == [str(i) for i in range(count)]
                assert [turn.number for turn in turns] == list(range(1, 2 * count + 1))
