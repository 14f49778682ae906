"""Steps 3 to 8 of a turn's life for one process: claim, answer, deliver, complete, delivered.

A worker owns a conversation only while its lease lasts. It may be killed anywhere, and then the next claim of the
same ready entry goes on from what the store has recorded:

    answering    nothing is complete: the answer goes on after what `showing` recorded, or is made anew
    delivering   the turn is in memory: only the rest of the final text is brought to the room

Whatever goes wrong ends in one of three ways. The person is told and the turn completed; or the lease is let go
and the same entry is claimed again; or (the platform refuses for good) the turn is completed with what was shown.

This module knows no platform, no Redis and no model: adapters are `deliver` functions by platform name.
"""

import asyncio
import logging
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass

from core.answer import Answer, Deliver
from core.dialogue import Dialogue
from core.errors import CoreError, LeaseLost, StoreUnavailable
from core.reply import Notice
from core.store.claims import Claim
from core.store.control import ControlEntry
from core.store.store import Store

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """`concurrency` conversations are answered at once, each for at most `turn_seconds`. A turn that failed in a
    way nobody foresaw is tried `tries` times in all."""

    concurrency: int = 64
    turn_seconds: float = 600.0
    tries: int = 3
    retry_wait: float = 1.0


class Worker:
    """Answers what waits in the store, for the platforms in `deliver`."""

    def __init__(
        self, store: Store, dialogue: Dialogue, deliver: Mapping[str, Deliver], settings: WorkerSettings
    ) -> None:
        self._store = store
        self._dialogue = dialogue
        self._deliver = deliver
        self._settings = settings
        self._running: dict[Claim, Answer] = {}
        self._changed = asyncio.Event()
        self._draining = asyncio.Event()

    async def run(self) -> None:
        """Work until cancelled. A store that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_for_ever(group), name="claim")
            group.create_task(self._beat_for_ever(), name="beat")
            group.create_task(self._watch_stops(), name="stops")
            group.create_task(self._control_for_ever(), name="control")

    async def drain(self, within: float) -> None:
        """Claim nothing more, end each running answer with a word of why, and wait until all are delivered.

        After `within` seconds whatever still runs is left to the next claim.
        """
        self._draining.set()
        for answer in self._running.values():
            answer.halt("shutdown")
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                while self._running:
                    self._changed.clear()
                    await self._changed.wait()

    async def _claim_for_ever(self, group: asyncio.TaskGroup) -> None:
        while not self._draining.is_set():
            free = self._settings.concurrency - len(self._running)
            if free <= 0:
                self._changed.clear()
                await self._changed.wait()
                continue
            try:
                claims = await self._store.claims.take(self._deliver.keys(), free, wait=1.0)
            except StoreUnavailable as exc:
                await self._store_away(exc)
                continue
            for claim in claims:
                self._running[claim] = answer = Answer(
                    self._store.claims, self._dialogue, claim, seconds=self._settings.turn_seconds
                )
                answer.task = group.create_task(self._run(answer), name="answer")
                if self._draining.is_set():
                    answer.halt("shutdown")

    async def _run(self, answer: Answer) -> None:
        claim = answer.claim
        try:
            await answer.run(self._deliver[claim.event.room.platform])
        except* LeaseLost:
            log.warning("lost the lease: %s", claim.event.id)
        except* StoreUnavailable as group:
            # The lease runs out by itself, and the entry is claimed again when the store is back.
            log.warning("the store went away in a turn: %s: %s", claim.event.id, group.exceptions[0])
        except* Exception:
            log.exception("a turn failed: %s (try %d)", claim.event.id, claim.tries)
            await self._give_back(answer)
        finally:
            self._running.pop(claim, None)
            self._changed.set()

    async def _give_back(self, answer: Answer) -> None:
        claim = answer.claim
        with suppress(CoreError):
            if claim.tries < self._settings.tries:
                await asyncio.sleep(self._settings.retry_wait * claim.tries)
                await self._store.claims.release(claim)
            else:
                log.error("given up after %d tries: %s", claim.tries, claim.event.id)
                await answer.set_aside()

    async def _beat_for_ever(self) -> None:
        while True:
            try:
                await self._store.fleet.beat()
                await self._beat(list(self._running))
            except StoreUnavailable as exc:
                log.warning("no heartbeat: %s", exc)
            await asyncio.sleep(self._store.claims.beat_every)

    async def _beat(self, claims: Sequence[Claim]) -> None:
        if claims:
            await self._store.claims.beat(claims)
        for claim in claims:
            if (answer := self._running.get(claim)) is None:
                continue
            if claim.lost:
                answer.cancel()
            elif claim.stopped:
                answer.halt("stopped")

    async def _watch_stops(self) -> None:
        while True:
            try:
                async with self._store.claims.stops() as stops:
                    async for conversation in stops:
                        await self._beat([claim for claim in self._running if claim.conversation == conversation])
            except StoreUnavailable as exc:
                await self._store_away(exc)

    async def _control_for_ever(self) -> None:
        while True:
            try:
                for entry in await self._store.control.take(self._deliver.keys(), 16, wait=1.0):
                    await self._say(entry)
            except StoreUnavailable as exc:
                await self._store_away(exc)

    async def _say(self, entry: ControlEntry) -> None:
        event = entry.event
        reply = Notice(self._store.control, entry, self._dialogue.notice(event))
        try:
            async with asyncio.timeout(self._settings.turn_seconds):
                await self._deliver[event.room.platform](event, reply)
        except StoreUnavailable:
            raise
        except Exception:
            log.exception("could not answer %s", event.id)
        await self._store.control.done(entry)

    async def _store_away(self, exc: StoreUnavailable) -> None:
        log.warning("the store is away: %s", exc)
        await asyncio.sleep(1.0)
