"""Steps 3 to 8 of a turn's life for one process: claim, answer, deliver, complete, delivered.

A worker owns a conversation only while its lease lasts. It may be killed anywhere, and then the next claim of the
same ready entry goes on from what the store has recorded:

    answering    nothing is complete: the answer goes on after what `showing` recorded, or is made anew
    delivering   the turn is in memory: only the rest of the final text is brought to the room

Whatever goes wrong ends in one of four ways. The person is told and the turn completed; or the lease is let go and
the same entry is claimed again; or (the platform refuses for good) the turn is completed with what was shown; or
(nobody could answer it, or it takes each worker with it) it is set aside for the operator, and the person is told.

This module knows no platform, no Redis and no model: adapters are `deliver` functions by name.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet
from contextlib import AbstractContextManager, contextmanager, suppress
from dataclasses import dataclass
from typing import Literal

from core.answer import Answer, Deliver
from core.dialogue import Dialogue
from core.errors import AWAY, CoreError, LeaseLost
from core.extension import Extension, Hooks
from core.files.reader import Reader
from core.folding import Folding
from core.handler import Handler
from core.names import Names, platform_of
from core.saying import Saying
from core.scope import PEOPLE, is_one_persons
from core.store.aside import Aside
from core.store.claim import Claim
from core.store.store import Store
from core.tools import Tools
from core.traces import trace
from core.turns import Conversation, Event

log = logging.getLogger(__name__)

# How long the store may take to answer a worker that ends, and how long giving a conversation back may take.
_ANSWER_SECONDS = 1.0
_GIVE_BACK_SECONDS = 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkerSettings:
    """`concurrency` conversations are answered at once. For each the model has `turn_seconds` to begin, and as
    long again to write. What failed in a way nobody foresaw is tried `tries` times in all, and so is what was
    claimed by workers that died, or lost their lease, without getting a word further. However far they got, what
    was claimed `most_claims` times is not tried again. Work is waited for `take_seconds` at a time, and a drain
    waits for that to end."""

    concurrency: int = 64
    turn_seconds: float = 600.0
    tries: int = 3
    most_claims: int = 30
    retry_wait: float = 1.0
    take_seconds: float = 1.0


Ended = Callable[[Literal["lost", "interrupted", "failed", "handed_over"]], None]
"""Told how a turn has ended, when it was not by its reply."""

Watch = Callable[[Event], AbstractContextManager[Ended]]
"""A context manager around the turn of an event: whatever happens inside, happens for that event."""

Charge = Callable[[Event, int], Awaitable[None]]
"""Counts the tokens of the turn that an event made."""


@contextmanager
def unwatched(event: Event) -> Iterator[Ended]:  # noqa: ARG001
    """Nobody looks."""
    yield lambda how: None  # noqa: ARG005


class Worker:
    """Answers what waits in the store, for the adapters in `deliver`. Each turn happens inside `watch`. `reader`
    reads the files with messages; without one they are not read. `charge` is told the tokens of each turn.
    `choices` are other models to ask, by the names that places may choose. `names` tells which adapter a
    conversation is for; by itself it is the platform's."""

    def __init__(
        self,
        store: Store,
        dialogue: Dialogue,
        deliver: Mapping[str, Deliver],
        settings: WorkerSettings,
        watch: Watch = unwatched,
        reader: Reader | None = None,
        extensions: Sequence[Extension] = (),
        charge: Charge | None = None,
        choices: Mapping[str, Dialogue] | None = None,
        names: Names | None = None,
    ) -> None:
        self._names = names or Names()
        self._changed = asyncio.Event()
        self._store = store
        self._dialogue = dialogue
        self._deliver = deliver
        self._reader = reader
        self._settings = settings
        self._watch = watch
        self._aside = Aside(store.client, store.inbox)
        self._hooks = Hooks(extensions)
        self._tools = Tools(tool for each in extensions for tool in each.tools)
        self._charge = charge
        more = {name: does for each in extensions for name, does in each.does.items()}
        self._choices = choices or {}
        self._saying = Saying(
            store.control,
            Handler(store, dialogue, more, self._choices),
            deliver,
            self._names,
            answered=lambda: self._answered,
            patience=settings.turn_seconds,
            ended=self._changed.set,
        )
        self._folding = Folding(store.folds, dialogue, seconds=settings.turn_seconds)
        self._running: dict[Claim, Answer] = {}
        self._draining = asyncio.Event()
        self._claims_no_more = asyncio.Event()
        self._has_beaten = asyncio.Event()  # or has tried to: before that nobody knows what is held
        self._resting = False

    @property
    def resting(self) -> bool:
        """Whether it takes no work, because somebody said so."""
        return self._resting

    async def rest(self) -> None:
        """Take nothing more until `resume`, and leave what runs to others who deliver there; what nobody else can
        go on with is brought to its end here."""
        self._resting = True
        self._changed.set()
        await self._leave_fleet()
        await self._pass_by()
        await self._hand_over()

    async def resume(self) -> None:
        """Take work again. Raises `StoreUnavailable`."""
        await self._store.fleet.beat(self._deliver.keys())
        self._resting = False
        self._changed.set()

    async def run(self) -> None:
        """Work until cancelled. A store that is away is waited for."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self._claim_for_ever(group), name="claim")
            group.create_task(self._beat_for_ever(), name="beat")
            group.create_task(self._watch_stops(), name="stops")
            group.create_task(self._say_for_ever(), name="control")
            group.create_task(self._folding.run(), name="summaries")

    async def drain(self, within: float, *, patience: float = 0.0) -> None:
        """Claim nothing more, and wait until nothing runs here any more.

        A running answer is handed over once another worker is alive that delivers to its platform: it goes on
        there after the word that was last shown. Else it has `patience` seconds to end by itself; then it is ended
        with a word of why, and has `within` seconds to be delivered. Whatever still runs then is given back as it
        is.
        """
        self._draining.set()
        self._has_beaten.set()
        self._changed.set()
        self._saying.leave()
        self._folding.stop()
        await self._leave_fleet()  # first: of two workers that are stopped together none may count on the other
        with suppress(TimeoutError):
            async with asyncio.timeout(self._settings.take_seconds + _ANSWER_SECONDS):
                await self._claims_no_more.wait()
        await self._pass_by()
        loop = asyncio.get_running_loop()
        ends = loop.time() + patience
        await self._hand_over()
        while self._running and (left := ends - loop.time()) > 0:
            await self._until_idle(min(left, self._store.claims.beat_every))
            await self._hand_over()
        for answer in self._running.values():
            answer.halt("shutdown")
        await self._until_idle(within)
        for answer in self._running.values():
            answer.hand_over(within=_GIVE_BACK_SECONDS / 2)
        await self._until_idle(_GIVE_BACK_SECONDS)

    async def _until_idle(self, seconds: float) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while self._running or not self._saying.idle:
                    await self._change()

    async def _pass_by(self) -> None:
        """What is given back must not come to us again."""
        with suppress(*AWAY, TimeoutError):
            async with asyncio.timeout(self._settings.take_seconds + _ANSWER_SECONDS):
                await self._store.claims.pass_by()

    async def _leave_fleet(self) -> None:
        with suppress(*AWAY, TimeoutError):
            async with asyncio.timeout(_ANSWER_SECONDS):
                await self._store.fleet.leave()

    async def _hand_over(self) -> None:
        """Leave to others what they deliver to."""
        if not self._running:
            return
        try:
            async with asyncio.timeout(_ANSWER_SECONDS):
                others = await self._store.fleet.others()
        except (*AWAY, TimeoutError) as exc:
            log.warning("nobody knows whether another worker is there: %s", exc)
            return
        for answer in self._running.values():
            if any(self._names.of(answer.claim.event.said_in) in names for names in others):
                answer.hand_over()

    async def _claim_for_ever(self, group: asyncio.TaskGroup) -> None:
        try:
            await self._has_beaten.wait()
            while not self._draining.is_set():
                await self._claim(group)
        finally:
            self._claims_no_more.set()

    @property
    def _answered(self) -> AbstractSet[str]:
        """The adapters for which work is taken now."""
        if self._resting:
            return set()
        held = self._store.fleet.held
        return self._deliver.keys() - held if held else self._deliver.keys()

    def _is_answered(self, conversation: Conversation) -> bool:
        return self._names.of(conversation) in self._answered

    def _may_be_answered(self, conversation: Conversation) -> bool:
        """Of one that is on several platforms only its next message says where it is answered."""
        return is_one_persons(conversation) or self._is_answered(conversation)

    async def _claim(self, group: asyncio.TaskGroup) -> None:
        free = self._settings.concurrency - len(self._running)
        if free <= 0:
            await self._change()
            return
        try:
            wait = self._settings.take_seconds
            platforms = {platform_of(name) for name in self._answered}
            taken = platforms and {*platforms, PEOPLE}
            claims = await self._store.claims.take(taken, free, wait=wait, wanted=self._may_be_answered)
        except AWAY as exc:
            await self._store_away(exc)
            return
        for claim in claims:
            unwanted = not self._is_answered(claim.event.said_in)  # by now, or it never was
            if unwanted and is_one_persons(claim.conversation):
                group.create_task(self._pass_on(claim), name="pass on")
                continue
            if (unwanted or self._draining.is_set()) and not claim.parts:
                await self._hand_back(claim)  # better answered later than cut short now
                continue
            self._folding.pause()
            self._running[claim] = answer = Answer(
                self._store.claims,
                self._choices.get(claim.model, self._dialogue),
                claim,
                adapter=self._names.of(claim.event.said_in),
                seconds=self._settings.turn_seconds,
                reader=self._reader,
                hooks=self._hooks,
                tools=self._tools,
            )
            answer.task = group.create_task(self._run(answer), name="answer")

    async def _hand_back(self, claim: Claim) -> None:
        """Somebody else shall go on, at once. If that cannot be said now, the lease runs out by itself."""
        with suppress(CoreError):
            await self._aside.absolve(claim)
            await self._store.claims.release(claim, begun=False)

    async def _pass_on(self, claim: Claim) -> None:
        """Who delivers where it was said shall have it, at once or as soon as there is somebody."""
        with suppress(CoreError):
            await self._aside.absolve(claim)
            await self._store.claims.pass_on(claim)

    async def _run(self, answer: Answer) -> None:
        claim = answer.claim
        with self._watch(claim.event) as ended:
            try:
                await self._turn(answer, ended)
            except* LeaseLost:
                log.warning("lost the lease: %s", claim.event.id)
            except* AWAY as failures:
                # The lease runs out by itself, and the entry is claimed again when the store is back.
                ended("interrupted")
                log.warning("the store went away in a turn: %s: %s", claim.event.id, failures.exceptions[0])
            except* Exception as failures:  # noqa: BLE001 - the turn's edge
                ended("failed")
                log.error("a turn failed: %s (try %d)\n%s", claim.event.id, claim.tries, trace(failures))  # noqa: TRY400
                await self._give_back(answer)
            finally:
                self._running.pop(claim, None)
                self._changed.set()
                if not self._running:
                    self._folding.resume()
                if claim.lost:
                    ended("lost")  # also where a heartbeat found it, and this was cancelled
                    await self._show_again(claim)

    async def _turn(self, answer: Answer, ended: Ended) -> None:
        claim = answer.claim
        await answer.look_back(self._store.memory, self._store.whereabouts)
        if await self._is_hopeless(claim):
            ended("failed")
            await self._give_up(answer)
        elif (deliver := self._deliver.get(self._names.of(claim.event.said_in))) is None:
            ended("handed_over")
            await self._hand_back(claim)  # its adapter has ended meanwhile
        elif not await answer.run(deliver):
            ended("handed_over")
            await self._hand_back(claim)
        else:
            if self._charge is not None and answer.tokens:
                await self._charge(claim.event, answer.tokens)
            if answer.fold_up_to is not None:
                self._folding.want(claim.conversation, answer.fold_up_to)

    async def _show_again(self, claim: Claim) -> None:
        """What this worker wrote last may have come to the room after its successor's words."""
        messages = [part.message for part in claim.parts if part.message]
        if not messages:
            return
        event = claim.event
        again = Event(
            id=f"{event.id}:{claim.fence}:show",
            kind="show",
            room=event.room,
            conversation=event.conversation,
            speaker=event.speaker,
            target=messages[0],
            server=event.server,
            home=event.home,
            locale=event.locale,
        )
        try:
            if await self._store.claims.was_taken_over(claim):
                await self._store.inbox.accept(again)
        except CoreError as exc:
            log.warning("what stands in the room is not shown again: %s: %s", event.id, exc)

    async def _is_hopeless(self, claim: Claim) -> bool:
        """Whether it was tried often enough, by workers that could not say how that ended."""
        if claim.tries == 1:
            return False
        blamed = await self._aside.blame(claim)
        return blamed >= self._settings.tries or claim.tries > self._settings.most_claims

    async def _give_back(self, answer: Answer) -> None:
        claim = answer.claim
        with suppress(CoreError):
            if claim.tries < self._settings.tries:
                await asyncio.sleep(self._settings.retry_wait * claim.tries)
                await self._store.claims.release(claim)
            else:
                await self._give_up(answer)

    async def _give_up(self, answer: Answer) -> None:
        """Set it aside. Writing ends with an apology, which the next claim delivers; delivering ends with what
        stands there."""
        claim = answer.claim
        log.error("given up %s after %d tries: %s", claim.phase, claim.tries, claim.event.id)
        await self._aside.put(claim.event, claim.tries)
        if claim.phase == "answering":
            await answer.apologise()
            await self._store.claims.release(claim)
        else:
            await answer.leave_as_it_stands()

    async def _beat_for_ever(self) -> None:
        delivering: list[Claim] = []
        while True:
            try:
                await self._beat(list(self._running))
                await self._absolve(delivering)
                delivering = [claim for claim in self._running if claim.phase == "delivering"]
                if self._resting:
                    await self._hand_over()
                elif not self._draining.is_set():
                    await self._store.fleet.beat(self._deliver.keys())
            except AWAY as exc:
                log.warning("no heartbeat: %s", exc)
            self._has_beaten.set()
            await asyncio.sleep(self._store.claims.beat_every)

    async def _absolve(self, claims: Sequence[Claim]) -> None:
        """Who has delivered for longer than a beat waits for the platform, and is nobody's end: should this worker
        die meanwhile, that is no sign against it."""
        for claim in claims:
            if claim in self._running:
                with suppress(LeaseLost):
                    await self._aside.absolve(claim)

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
            except AWAY as exc:
                await self._store_away(exc)

    async def _say_for_ever(self) -> None:
        await self._has_beaten.wait()
        await self._saying.run()

    async def _change(self) -> None:
        """Wait until something that ran has ended."""
        self._changed.clear()
        await self._changed.wait()

    async def _store_away(self, exc: CoreError) -> None:
        log.warning("the store is away: %s", exc)
        await asyncio.sleep(1.0)
