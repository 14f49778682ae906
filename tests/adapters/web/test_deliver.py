"""What page and terminal record of a reply: the newest text, not too often, and always the end."""

import asyncio
from collections.abc import AsyncIterator, Sequence

import pytest

from adapters import Adapter
from adapters.terminal.adapter import TerminalAdapter, TerminalSettings
from adapters.web.adapter import WebAdapter
from adapters.web.events import Chat, to_event
from adapters.web.frames import Say
from adapters.web.settings import WebSettings
from core.errors import LeaseLost
from core.store.api_keys import ApiKeys
from core.store.store import Store
from core.turns import Draft, Part

EVENT = to_event(Say("0123456789abcdef", "hello"), Chat("cafe"), at=0.0)


class Recorder:
    """A reply that writes a word at each step of the loop, and keeps what is recorded of it."""

    def __init__(self, words: Sequence[str], parts: Sequence[Part] = (), *, lost: bool = False) -> None:
        self.parts = parts
        self.replaces: Sequence[str] = ()
        self.recorded: list[tuple[int, str, int, bool]] = []
        self.messages: list[tuple[int, str]] = []
        self._words = words
        self._lost = lost

    async def __aiter__(self) -> AsyncIterator[Draft]:
        """As the core's replies do it: what was written while nobody waited is skipped."""
        loop = asyncio.get_running_loop()
        began, whole = loop.time(), " ".join(self._words)
        for _ in self._words:
            written = int((loop.time() - began) * 1000) + 1  # a word each millisecond
            if written >= len(self._words):
                break
            yield Draft(" ".join(self._words[:written]))
        yield Draft(whole, final=True)

    def key(self, part: int) -> str:
        return f"key{part}"

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        if self._lost:
            raise LeaseLost
        self.recorded.append((part, text, end, final))
        return 0.0

    async def shown(self, part: int, message: str) -> None:
        self.messages.append((part, message))

    def stop(self) -> None:
        raise AssertionError("there is no other means than ours")


@pytest.fixture(params=["web", "terminal"])
def adapter(request: pytest.FixtureRequest, store: Store) -> Adapter:
    if request.param == "web":
        return WebAdapter(WebSettings(), store.library, ApiKeys(store.client))
    return TerminalAdapter(TerminalSettings(), store.fleet)


async def test_newest_text_is_recorded_and_others_are_skipped(adapter: Adapter) -> None:
    words = [f"word{i}" for i in range(400)]
    reply = Recorder(words)
    await adapter.deliver(EVENT, reply)
    assert 1 < len(reply.recorded) < 40
    assert reply.recorded[-1] == (0, " ".join(words), len(" ".join(words)), True)
    assert [final for *_, final in reply.recorded].count(True) == 1
    assert reply.messages == [(0, "key0")]


async def test_second_delivery_names_the_message_only_if_nobody_has(adapter: Adapter) -> None:
    reply = Recorder(["done"], [Part("do", 2, "key0")])
    await adapter.deliver(EVENT, reply)
    assert reply.recorded == [(0, "done", 4, True)]
    assert reply.messages == []
    unnamed = Recorder(["done"], [Part("do", 2)])
    await adapter.deliver(EVENT, unnamed)
    assert unnamed.messages == [(0, "key0")]


async def test_lost_lease_ends_the_delivery(adapter: Adapter) -> None:
    with pytest.raises(LeaseLost):
        await adapter.deliver(EVENT, Recorder(["done"], lost=True))
