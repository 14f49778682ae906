"""Who answers a conversation: leases, and the steps of a turn that only their holder may take.

A claim is made by a ready entry, and there is one such entry for a conversation that has mail or an undelivered
reply. A lease belongs to a random token and a counting fence, and ends by the server's clock unless it is renewed;
each step of its holder is refused once somebody else has it. The entry stays until the reply is delivered, so
whoever finds it stale goes on with what is recorded:

    answering  --complete-->  delivering  --delivered-->  (the entry is gone; a new one if mail waits)

Each step may be repeated when its answer was lost, and answers the same. This module knows neither platforms nor
models.
"""

import asyncio
import logging
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import aclosing, asynccontextmanager
from typing import TypeVar

from core.errors import LeaseLost, StoreUnavailable
from core.store.branches import branches
from core.store.channels import Channels
from core.store.claim import Claim
from core.store.client import Client
from core.store.inbox import STOPS
from core.store.keys import Kind, conversation_id, parse_conversation
from core.store.pipe import outcomes
from core.store.records import ShowingRecord
from core.store.scripts import Call
from core.store.streams import WorkQueue
from core.store.taking import Taker, Wanted
from core.store.whereabouts import Whereabouts
from core.summary import Summaries
from core.turns import Conversation, Part, Turn, WhenBusy

log = logging.getLogger(__name__)

T = TypeVar("T")

_ASK_AGAIN = 0.2


class Claims:
    """What a worker does with conversations. Times are in seconds; `outage` is how long the store may be away
    before a turn that is under way is given up."""

    def __init__(
        self,
        client: Client,
        channels: Channels,
        queue: WorkQueue,
        whereabouts: Whereabouts,
        *,
        max_turns: int,
        when_busy: WhenBusy = "queue",
        lease: float = 9.0,
        beat_every: float = 3.0,
        outage: float = 60.0,
    ) -> None:
        self.lease = lease
        self.beat_every = beat_every
        self._client = client
        self._channels = channels
        self._whereabouts = whereabouts
        self._taker = Taker(client, queue, lease=lease, when_busy=when_busy)
        self._keys = client.keys
        self._records = client.records
        self._max_turns = max_turns
        self._outage = outage
        self._lease_ms = int(lease * 1000)

    async def take(
        self, platforms: Collection[str], count: int, *, wait: float, wanted: Wanted | None = None
    ) -> list[Claim]:
        """Claim at most `count` conversations that are ready on these platforms, or whose worker has gone. What is
        not `wanted` is left to others.

        Waits at most `wait` seconds for one. What was claimed when the caller is cancelled is handed back. Raises
        `StoreUnavailable`.
        """
        return await self._taker.take(platforms, count, wait=wait, wanted=wanted)

    async def take_stale(self, platforms: Collection[str], count: int) -> list[Claim]:
        """Claim at most `count` conversations whose worker has not renewed its lease. Does not wait."""
        return await self._taker.take_stale(platforms, count)

    async def pass_by(self) -> None:
        """Nothing more is taken here: let others have what was read already. Raises `StoreUnavailable`."""
        await self._taker.pass_by()

    async def beat(self, claims: Collection[Claim]) -> None:
        """Renew all leases; note which are lost and which events are to be stopped.

        A shard that does not answer until the next beat is due holds up no other. Raises `StoreUnavailable` when
        none does.
        """
        shards: dict[str, list[Claim]] = {}
        for claim in claims:
            shards.setdefault(self._keys.tag(claim.conversation.place), []).append(claim)
        started = self._now()
        beats = self._client.start_all([self._beat(held) for held in shards.values()])
        failures: list[Exception] = []
        for held, answer in zip(shards.values(), await outcomes(beats, within=self.beat_every), strict=True):
            if isinstance(answer, Exception):
                failures.append(answer)
                continue
            for claim, state in zip(held, answer, strict=True):
                self._note(claim, -1 if state == 0 else state - 1, started)
        if failures and len(failures) == len(shards):
            raise failures[0]
        if failures:
            log.warning(
                "the leases in %d of %d shards were not renewed: %s", len(failures), len(shards), failures[0]
            )

    @asynccontextmanager
    async def stops(self) -> AsyncIterator[AsyncIterator[Conversation]]:
        """The conversations in which somebody says stop, as they say it. `beat` then knows whether it is for us.

        Raises `StoreUnavailable` on entering. A stop during an interruption is found by the next `beat`.
        """
        said: dict[str, None] = {}
        any_said = asyncio.Event()

        def receive(name: bytes) -> None:
            said[name.decode()] = None
            any_said.set()

        async def conversations() -> AsyncGenerator[Conversation, None]:
            while True:
                await any_said.wait()
                any_said.clear()
                while said:
                    yield parse_conversation(said.popitem()[0])

        async with (
            self._channels.listening(self._keys.channel(STOPS), receive),
            aclosing(conversations()) as stopped,
        ):
            yield stopped

    async def showing(self, claim: Claim, part: int, text: str, end: int, *, final: bool) -> None:
        """Record that the room is about to show `text` as message number `part`. Renews the lease.

        A part must have its predecessor recorded. The first record of a part is a commit point: who takes over
        must know that the message may stand in the room. Raises `LeaseLost` and `StoreUnavailable`.
        """
        assert 0 <= part <= len(claim.parts), "parts are shown in order"
        new = part == len(claim.parts)
        record = ShowingRecord(claim.event.id, part, text, end, final)
        started = self._now()
        answer = await self._client.run(
            "showing",
            self._of(claim, "c", "r"),
            *(claim.token, claim.fence, self._lease_ms, claim.number),
            *(part, self._records.encode(record), self._keys.watchers(claim.conversation)),
            commit=new,
        )
        self._note(claim, answer, started)
        self._hold(claim)
        if new:
            claim.parts.append(record.as_part(None))
        else:
            claim.parts[part] = Part(text, end, claim.parts[part].message)

    async def shown(self, claim: Claim, part: int, message: str) -> None:
        """Record that part number `part` has become the platform's message `message`.

        A store that is away is waited for: nobody else knows that message, and who takes over would send it again.
        Raises `LeaseLost`, and `StoreUnavailable` when that takes too long.
        """
        recorded = claim.parts[part]
        await self._patiently(lambda: self._whereabouts.note(claim.event, message))
        answer = await self._patiently(
            lambda: self._client.run("shown", self._of(claim, "c", "r"), claim.token, claim.fence, part, message)
        )
        self._end_if_lost(claim, answer)
        claim.parts[part] = Part(recorded.text, recorded.end, message)

    async def complete(
        self,
        claim: Claim,
        *,
        turns: Sequence[Turn],
        text: str,
        window: int | None,
        persona: str | None = None,
        summaries: Summaries | None = None,
        clear: bool = False,
        cut: int = 0,
        branching: bool = False,
    ) -> None:
        """One atomic step, on disk when it returns: the event is answered, and its reply only to be delivered.

        Appends `turns` in place of the last `cut` ones, so that their numbers must follow `claim.last - cut`, and
        stores the number of the turn where the window starts (`None`: unknown). Those that are cut off are kept
        as a branch if it is `branching`. Before that, `clear` forgets what is remembered, branches too. `persona`
        is set for the place ("": the default one; `None`: as it was). `summaries` take the place of the claim's,
        unless those were forgotten meanwhile. `text` is kept for whoever delivers. Lease and entry stay ours.

        A store that is away is waited for, as by `shown`, which may be under way beside it. Raises `LeaseLost`,
        and `StoreUnavailable` when that takes too long.
        """
        kept = claim.last - cut
        assert [turn.number for turn in turns] == list(range(kept + 1, kept + 1 + len(turns)))
        keys = [*self._of(claim, "c", "q", "t", "r"), self._keys.place(claim.conversation)]
        if branching or clear:
            keys += [self._keys.conversation("t", each) for each in branches(claim.conversation)]
        started = self._now()
        answer = await self._patiently(
            lambda: self._client.run(
                "complete",
                keys,
                *(claim.token, claim.fence, self._lease_ms, claim.number, claim.last),
                *(self._records.encode_text(text), "" if window is None else window, self._max_turns, int(clear)),
                *(int(persona is not None), self._records.encode_text(persona) if persona else ""),
                claim.event.server,
                b"" if summaries is None else self._records.encode(summaries),
                cut,
                *(claim.taken, self._records.encode(claim.event) if claim.taken > 1 else b""),
                claim.swaps,
                *map(self._records.encode, turns),
                commit=True,
            )
        )
        if answer == -2:
            claim.lost = True
            raise LeaseLost(f"memory went on without us: {claim.event.id}")
        self._end_if_lost(claim, answer)
        claim.deadline = started + self.lease
        claim.phase, claim.text, claim.last, claim.tries = "delivering", text, kept + len(turns), 1
        before = [] if clear else [turn for turn in claim.window if turn.number <= kept]
        claim.window = [*before, *turns]
        claim.summaries = Summaries() if clear else summaries or claim.summaries

    async def delivered(self, claim: Claim, *, instead: Turn | None = None) -> None:
        """The reply is in the room, or never will be: end the activation, and begin the next one if mail waits.

        `instead` takes the place of the last turn, the answer of this claim, when the room shows another one.

        Raises `LeaseLost` and `StoreUnavailable`.
        """
        answer = await self._client.run(
            "delivered",
            [*self._of(claim, "c", "q", "r", "t"), claim.entry.stream, self._keys.ready(claim.conversation)],
            *self._ending(claim),
            b"" if instead is None else self._records.encode(instead),
            commit=True,
        )
        self._end_if_lost(claim, answer)

    async def release(self, claim: Claim, *, begun: bool = True) -> None:
        """Hand the conversation back as it is: anybody may claim it at once. A claim that was not `begun` does not
        count as a try.

        Raises `LeaseLost` and `StoreUnavailable`.
        """
        await self._release(claim, self._keys.ready(claim.conversation), begun=begun)

    async def pass_on(self, claim: Claim) -> None:
        """Hand the conversation back, as `release` does one that was not begun, to whoever answers where its event
        was said: it is ready among the conversations of that platform alone. Where it is so already, its entry
        becomes stale: it may be another bot's.

        Raises `LeaseLost` and `StoreUnavailable`.
        """
        there = self._keys.queue("ready", claim.event.said_in.platform, claim.conversation)
        await self._release(claim, there, begun=False, stays=there == claim.entry.stream)

    async def _release(self, claim: Claim, there: str, *, begun: bool, stays: bool = False) -> None:
        keys = [*self._of(claim, "c"), claim.entry.stream, there]
        answer = await self._client.run("release", keys, *self._ending(claim), int(begun), int(stays))
        self._end_if_lost(claim, answer)

    async def was_taken_over(self, claim: Claim) -> bool:
        """Whether somebody has claimed the conversation since. Not so where the lease was lost because what was
        answered is forgotten. Raises `StoreUnavailable`."""
        key = self._keys.conversation("c", claim.conversation)
        fence: bytes | None = await self._client.ask("HGET", key, "fence", key=key)
        return int(fence or 0) > claim.fence

    async def _patiently(self, step: Callable[[], Awaitable[T]]) -> T:
        """Its answer, however often the store is away within the time. The lease may well be ours still: when the
        store comes back, whoever is first has it."""
        until = self._now() + self._outage
        while True:
            try:
                return await step()
            except StoreUnavailable:
                if self._now() >= until:
                    raise
                await asyncio.sleep(_ASK_AGAIN)

    def _beat(self, claims: Sequence[Claim]) -> Call:
        keys: list[str] = []
        args: list[str | int] = [self._lease_ms]
        for claim in claims:
            keys += [*self._of(claim, "c"), claim.entry.stream]
            args += [claim.token, claim.fence, claim.entry.id, claim.number]
        return Call.of("beat", keys, *args)

    def _of(self, claim: Claim, *kinds: Kind) -> list[str]:
        return self._keys.of(claim.conversation, *kinds)

    def _ending(self, claim: Claim) -> tuple[str, int, str, str]:
        return claim.token, claim.fence, claim.entry.id, conversation_id(claim.conversation)

    def _note(self, claim: Claim, answer: int, started: float) -> None:
        """Scripts that renew answer -1: lost, 0: renewed, 1: renewed and to be stopped."""
        if answer < 0:
            claim.lost = True
        else:
            claim.stopped = answer == 1
            claim.deadline = started + self.lease

    def _end_if_lost(self, claim: Claim, answer: int) -> None:
        claim.lost = claim.lost or answer < 0
        self._hold(claim)

    def _hold(self, claim: Claim) -> None:
        if claim.lost:
            raise LeaseLost(f"another worker has the conversation of {claim.event.id}")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
