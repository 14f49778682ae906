"""From ready entries to claims: who gets a conversation, and what becomes of one that nobody can read."""

import asyncio
import logging
import secrets
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from core.collecting import MOST_TOGETHER
from core.errors import StoreUnavailable
from core.store.claim import Claim, conversation_of, read_claim
from core.store.client import Client
from core.store.keys import conversation_id
from core.store.pipe import outcome, outcomes
from core.store.scripts import Call
from core.store.streams import Entry, WorkQueue
from core.turns import Conversation, WhenBusy

log = logging.getLogger(__name__)

WIDEST_WINDOW = 512
"""How many turns are read when nobody knows where the window starts."""

READINGS = 3
"""How often an event that cannot be read is left to somebody who perhaps can, before it is set aside."""

UNREADABLE = 1000
"""How many events that nobody could read are kept, in each shard."""

_LET_GO_SECONDS = 0.5

Wanted = Callable[[Conversation], bool]
"""Whether a conversation is for whoever asks. What is not becomes stale, and is given to the next reader."""


class Taker:
    """Claims what is ready, for `lease` seconds. The queue's entries become stale after as long."""

    def __init__(self, client: Client, queue: WorkQueue, *, lease: float, when_busy: WhenBusy) -> None:
        self._client = client
        self._queue = queue
        self._keys = client.keys
        self._lease = lease
        self._when_busy = when_busy

    async def take(
        self, platforms: Collection[str], count: int, *, wait: float, wanted: Wanted | None = None
    ) -> list[Claim]:
        entries = await self._queue.read(platforms, count, wait=wait)
        return await self._claim([each for each in entries if wanted is None or wanted(conversation_of(each))])

    async def take_stale(self, platforms: Collection[str], count: int) -> list[Claim]:
        return await self._claim(await self._queue.read_stale(platforms, count))

    async def pass_by(self) -> None:
        await self._queue.pass_by()

    async def _claim(self, entries: Sequence[Entry]) -> list[Claim]:
        tokens = [secrets.token_urlsafe(12) for _ in entries]
        deadline = asyncio.get_running_loop().time() + self._lease
        answers = self._client.start_all(map(self._call, entries, tokens))
        try:
            if answers:
                await asyncio.wait(answers)
        except asyncio.CancelledError:
            await self._let_go(entries, tokens, answers)
            raise
        claims: list[Claim] = []
        failures: list[Exception] = []
        for entry, token, answer in zip(entries, tokens, map(outcome, answers), strict=True):
            if isinstance(answer, Exception):
                failures.append(answer)
            elif answer[0] == b"later":
                self._queue.put_off(entry, answer[1] / 1000)
            elif answer[0] == b"ours":
                try:
                    claims.append(read_claim(self._client.records, entry, token, answer[1:], deadline))
                except StoreUnavailable as exc:
                    await self._pass_over(entry, token, answer[1:], exc)
        if failures and not claims:
            raise failures[0]
        if failures:
            # Their entries become stale, and are tried again. The others are ours by now.
            log.warning("%d entries could not be claimed: %s", len(failures), failures[0])
        return claims

    async def _pass_over(self, entry: Entry, token: str, claimed: Sequence[Any], why: StoreUnavailable) -> None:
        """Leave it to the next reader when the lease has ended, or set it aside: its conversation must go on."""
        fence, tries = claimed[0], claimed[10]
        log.error("cannot answer entry %s of %s (try %d): %s", entry.id, entry.stream, tries, why)
        if tries < READINGS:
            return
        conversation = conversation_of(entry)
        aside = self._keys.unreadable(conversation)
        keys = self._keys.of(conversation, "c", "q", "r")
        with suppress(StoreUnavailable):  # then it comes again
            await self._client.run(
                "unreadable",
                [*keys, entry.stream, self._keys.ready(conversation), aside],
                *(token, fence, entry.id, conversation_id(conversation), UNREADABLE),
                commit=True,
            )
            log.error("set aside in %s an event of %s", aside, conversation)

    async def _let_go(
        self, entries: Iterable[Entry], tokens: Iterable[str], answers: Sequence[asyncio.Future[Any]]
    ) -> None:
        """Nobody will hear of these claims: the next one to take them need not wait for their leases."""
        loop = asyncio.get_running_loop()
        patience = loop.time() + _LET_GO_SECONDS
        releases = [
            self._release(entry, token, answer[1])
            for entry, token, answer in zip(
                entries, tokens, await outcomes(answers, within=_LET_GO_SECONDS), strict=True
            )
            if not isinstance(answer, Exception) and answer[0] == b"ours"
        ]
        await outcomes(self._client.start_all(releases), within=max(0.0, patience - loop.time()))

    def _release(self, entry: Entry, token: str, fence: int) -> Call:
        conversation = conversation_of(entry)
        keys = [self._keys.conversation("c", conversation), entry.stream, self._keys.ready(conversation)]
        return Call.of("release", keys, token, fence, entry.id, conversation_id(conversation), 0, 0)

    def _call(self, entry: Entry, token: str) -> Call:
        conversation = conversation_of(entry)
        keys = [*self._keys.of(conversation, "c", "q", "t", "r"), self._keys.place(conversation), entry.stream]
        lease = int(self._lease * 1000)
        return Call.of("claim", keys, token, entry.id, lease, WIDEST_WINDOW, self._when_busy, MOST_TOGETHER)
