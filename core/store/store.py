"""The store in one piece: one process's inbox, claims, memory, control and fleet on one Redis."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from core.errors import StoreUnavailable
from core.store.announcements import Announcements
from core.store.aside import Aside
from core.store.background import background
from core.store.channels import Channels
from core.store.claims import Claims
from core.store.client import Client, StoreSettings, open_client
from core.store.control import STALE_AFTER, Control
from core.store.fleet import StoreFleet
from core.store.folds import Folds
from core.store.forget import Forget
from core.store.inbox import StoreInbox
from core.store.library import Library
from core.store.memory import Memory
from core.store.places import Places
from core.store.retention import Retention
from core.store.streams import WorkQueue
from core.store.titles import Titles
from core.store.upkeep import Upkeep
from core.store.vault import Vault
from core.store.votes import Votes
from core.store.whereabouts import Whereabouts

_LEAVE_SECONDS = 0.5


@dataclass(frozen=True, slots=True)
class Store:
    """What `open_store` yields. `inbox`, `library` and `vault` are for adapters, `claims`, `folds`, `control`,
    `votes`, `whereabouts`, `places` and `fleet` are for workers, `announcements` for the operator's page, and
    `upkeep` must run in some process."""

    inbox: StoreInbox
    library: Library
    vault: Vault
    claims: Claims
    folds: Folds
    control: Control
    memory: Memory
    votes: Votes
    whereabouts: Whereabouts
    places: Places
    fleet: StoreFleet
    upkeep: Upkeep
    announcements: Announcements
    client: Client

    async def ping(self) -> None:
        """Return when the store answers. Raises `StoreUnavailable`."""
        await self.client.read(lambda redis: redis.ping())

    def describe(self) -> str:
        """Where the store is, without any secret."""
        return self.client.describe()


@asynccontextmanager
async def open_store(
    settings: StoreSettings, *, lease: float = 9.0, beat_every: float = 3.0, outage: float = 60.0
) -> AsyncIterator[Store]:
    """The store, connected and checked. `lease`, `beat_every` and `outage` are in seconds, as `Claims` has them.

    Raises `StoreUnavailable`.
    """
    async with background() as tasks, open_client(settings, tasks) as client:
        channels = Channels(client, tasks)
        tasks.start(channels.run)
        ready = WorkQueue(client, "ready", tasks, stale_after=lease)
        control = Control(client, WorkQueue(client, "ctl", tasks, stale_after=STALE_AFTER))
        most = settings.max_turns + settings.max_turns % 2  # an answer goes with its question
        whereabouts = Whereabouts(client, keep=settings.keep)
        claims = Claims(
            client,
            channels,
            ready,
            whereabouts,
            max_turns=most,
            when_busy=settings.when_busy,
            lease=lease,
            beat_every=beat_every,
            outage=outage,
        )
        folds = Folds(client, lease=lease, beat_every=beat_every)
        fleet = StoreFleet(client, channels)
        inbox = StoreInbox(client, channels, whereabouts, settings.when_busy)
        memory = Memory(client)
        votes = Votes(client, memory)
        places = Places(client)
        library = Library(client, channels, Titles(client), places, Forget(client, inbox))
        retention = Retention(client, Aside(client, inbox), keep=settings.keep, max_turns=most)
        upkeep = Upkeep(client, retention)
        async with fleet.listening:
            try:
                yield Store(
                    inbox=inbox,
                    library=library,
                    vault=Vault(client),
                    claims=claims,
                    folds=folds,
                    control=control,
                    memory=memory,
                    votes=votes,
                    whereabouts=whereabouts,
                    places=places,
                    fleet=fleet,
                    upkeep=upkeep,
                    announcements=Announcements(client, channels),
                    client=client,
                )
            finally:
                with suppress(StoreUnavailable, TimeoutError):
                    async with asyncio.timeout(_LEAVE_SECONDS):
                        await ready.leave()
                        await fleet.leave()
