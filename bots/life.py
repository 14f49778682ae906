"""One adapter's life in this process: entered, listening or standing by or only delivering, and left.

A bot's connection that must be alone is held by a lease; whoever has it not stands by.
"""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Literal

import structlog

from adapters import Adapter, Fetches, Named, Wired, name_of
from bots.instruments.instruments import Instruments
from core.answer import Deliver
from core.errors import Refused
from core.files.reader import Fetch
from core.store.leases import Leases
from core.store.store import Store
from core.turns import Inbox

State = Literal["starting", "listening", "standing by", "delivering", "refused"]
"""`starting` is also who has lost a bot's connection, until it is known who holds it now."""


@dataclass(frozen=True, slots=True)
class Hands:
    """What the entered adapters can do for the worker, by their names."""

    deliver: dict[str, Deliver] = field(default_factory=dict)
    fetch: dict[str, Fetch] = field(default_factory=dict)


class Life:
    """That of `adapter`, which puts what it can do into `hands`. With `listens` it takes what people say to
    `inbox`, and with `alone` only while no other process does. `told` hears of each change of `state`, with a line
    for people. `left`: the adapter has stopped listening by itself, as when the person leaves the terminal.
    """

    def __init__(
        self,
        adapter: Adapter,
        store: Store,
        inbox: Inbox,
        instruments: Instruments,
        hands: Hands,
        told: Callable[["Life", str], None],
        *,
        listens: bool,
        alone: bool,
    ) -> None:
        self.name = name_of(adapter)
        self.state: State = "starting"
        self.refusal: Refused | None = None
        self.left = False
        self._adapter = adapter
        self._store = store
        self._inbox = inbox
        self._instruments = instruments
        self._hands = hands
        self._told = told
        self._listens = listens
        self._alone = alone
        if isinstance(adapter, Named):
            instruments.names.know(f"{adapter.platform}/{adapter.bot}", adapter.name)

    @property
    def is_ready(self) -> bool:
        """Whether it does what it is for: who listens hears its platform."""
        if self.state == "listening" and isinstance(self._adapter, Wired):
            return self._adapter.wire.connected
        return self.state in {"listening", "standing by", "delivering"}

    @property
    def ready(self) -> dict[str, bool]:
        """Whether it is, and whether each of several connections is."""
        return {self.name: self.is_ready} | {f"{self.name}/{part}": here for part, here in self.parts.items()}

    @property
    def parts(self) -> dict[str, bool]:
        """The connections of one who listens over several, by name, and whether each is there."""
        if self.state == "listening" and isinstance(self._adapter, Wired):
            return dict(self._adapter.wire.parts)
        return {}

    async def run(self) -> None:
        """Until cancelled, or until it has `left` or could not even begin. One that its platform refuses later
        stays, and waits: the replies under way are still brought to their rooms."""
        structlog.contextvars.bind_contextvars(adapter=self.name)
        try:
            async with _entered(self._adapter):
                self._instruments.adapter(self._adapter)
                self._hands.deliver[self.name] = self._instruments.deliver(self._adapter.deliver, self.name)
                if isinstance(self._adapter, Fetches):
                    self._hands.fetch[self.name] = self._adapter.fetch
                try:
                    await self._listen_or_deliver()
                except Refused as exc:
                    del self._hands.deliver[self.name]  # what waits is kept for the next start
                    self._is_refused(exc)
                    await asyncio.Event().wait()
            self.left = True
        except Refused as exc:
            self._is_refused(exc)
        finally:
            self._hands.deliver.pop(self.name, None)
            self._hands.fetch.pop(self.name, None)

    async def _listen_or_deliver(self) -> None:
        if not self._listens:
            self._becomes("delivering")
            await asyncio.Event().wait()
        elif self._alone:
            leases = Leases(self._store.client)
            await leases.alone(_connection_of(self._adapter), self._listen, standing_by=self._stands_by)
        else:
            await self._listen()

    async def _listen(self) -> None:
        self._becomes("listening")
        try:
            await self._adapter.listen(self._instruments.inbox(self._inbox, self.name))
        finally:
            self.state = "starting"

    def _stands_by(self, holder: str) -> None:
        self._becomes("standing by", f"; the bot is connected on {holder}")

    def _becomes(self, state: State, more: str = "") -> None:
        self.state = state
        self._told(self, f"{self.name}: {state}{more}")

    def _is_refused(self, exc: Refused) -> None:
        self.state, self.refusal = "refused", exc
        self._told(self, f"{self.name}: {exc.why}. {exc.fix}")


def _connection_of(adapter: Any) -> str:
    """The name of the lease on the connection of an adapter that was entered: its platform and bot account."""
    return f"{adapter.platform}/{adapter.bot}"


@asynccontextmanager
async def _entered(adapter: Any) -> AsyncIterator[None]:
    """An adapter's clients are open inside, where it has any."""
    if hasattr(adapter, "__aenter__"):
        async with adapter:
            yield
    else:
        yield
