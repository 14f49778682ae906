"""Turns that nobody could answer, set aside for the operator: the list of them, and how a turn comes onto it.

What kills its worker cannot say so. So each claim that follows another one asks how many in a row have ended
without a word more on record than the one before: the neighbours of such a turn, which die with it, get on from
one claim to the next, and are not blamed. A claim that was given back does not count.

What is set aside is answered already, by an apology; `retry` puts it into its mailbox again, as a new event. This
module does not decide what is hopeless.
"""

import logging
import time
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import msgspec

from core.errors import LeaseLost
from core.store.claim import Claim
from core.store.client import Client
from core.store.inbox import StoreInbox
from core.store.records import AsideRecord, Unreadable
from core.turns import Event

log = logging.getLogger(__name__)

MOST = 1000
"""How many events are kept. The oldest goes first."""

KEPT = timedelta(days=30)
"""How long one is kept."""

_COMPLETE = 1 << 40  # more than any text is long


class SetAside(msgspec.Struct, frozen=True):
    """An event that was claimed `tries` times in vain, the last time at `since`, in seconds since the epoch."""

    event: Event
    tries: int
    since: float


class Aside:
    """The list of one store, with at most `most` entries, each for as long as `kept`.

    Everything here raises `StoreUnavailable`.
    """

    def __init__(self, client: Client, inbox: StoreInbox, *, most: int = MOST, kept: timedelta = KEPT) -> None:
        self._most = most
        self._kept = kept
        self._client = client
        self._inbox = inbox
        self._key = client.keys.value("aside")

    async def blame(self, claim: Claim) -> int:
        """How many claims of this event in a row ended without a word more on record. To be asked when a claim
        begins that is not the first. Raises `LeaseLost`."""
        return await self._blame(claim, gives_back=False)

    async def absolve(self, claim: Claim) -> None:
        """Our own claim shall not count: it is about to be given back. Raises `LeaseLost`."""
        await self._blame(claim, gives_back=True)

    async def put(self, event: Event, tries: int) -> None:
        """Set `event` aside. On disk when this returns; once for each event."""
        record = self._client.records.encode(AsideRecord(event, tries))
        now = int(time.time())
        await self._client.run(
            "aside",
            [self._key],
            *(event.id, record, now, self._most, int(self._kept.total_seconds())),
            commit=True,
        )

    async def count(self) -> int:
        """How many were set aside."""
        return int(await self._client.ask("HLEN", self._key, key=self._key))

    async def all(self) -> list[SetAside]:
        """What was set aside, oldest first."""
        kept: dict[bytes, bytes] = await self._client.read(lambda redis: redis.hgetall(self._key))
        found: list[SetAside] = []
        for name, value in kept.items():
            since, _, record = value.partition(b" ")
            try:
                known = self._client.records.decode(AsideRecord, record)
            except Unreadable as exc:
                log.warning("what was set aside as %s: %s", name.decode(), exc)
            else:
                found.append(SetAside(known.event, known.tries, float(since)))
        return sorted(found, key=lambda entry: entry.since)

    async def retry(self, entry: SetAside) -> None:
        """Have it answered once more, after what waits in its conversation. Raises `Overloaded` when too much
        does.

        It is a new event: its reply must not be taken for the apology.
        """
        await self._inbox.accept(replace(entry.event, id=f"{entry.event.id}~again"))
        await self._remove(entry.event.id)

    async def forget(self, matches: Callable[[Event], bool], named: str = "") -> int:
        """Keep no event that `matches`, and nothing unreadable with `named` in it. Answers how many went."""
        readable = {entry.event.id: entry.event for entry in await self.all()}
        kept: dict[bytes, bytes] = await self._client.read(lambda redis: redis.hgetall(self._key))
        gone = [
            name
            for name, value in kept.items()
            if (matches(event) if (event := readable.get(name.decode())) else named.encode() in name + value)
        ]
        for name in gone:
            await self._remove(name)
        return len(gone)

    async def expire(self, before: float) -> None:
        """Keep nothing that was set aside before a time, in seconds since the epoch."""
        kept: dict[bytes, bytes] = await self._client.read(lambda redis: redis.hgetall(self._key))
        for name, value in kept.items():
            if int(value.partition(b" ")[0]) < before:
                await self._remove(name)

    async def _remove(self, event: str | bytes) -> None:
        await self._client.ask("HDEL", self._key, event, key=self._key, commit=True)

    async def _blame(self, claim: Claim, *, gives_back: bool) -> int:
        progress = sum(len(part.text) for part in claim.parts)
        if claim.phase == "delivering":
            progress += _COMPLETE
        keys = [self._client.keys.conversation(kind, claim.conversation) for kind in ("c", "r")]
        count: int = await self._client.run(
            "blame",
            keys,
            *(claim.token, claim.fence, progress, int(gives_back)),
        )
        if count < 0:
            claim.lost = True
            raise LeaseLost(f"another worker has the conversation of {claim.event.id}")
        return count
