"""Shows replies in rooms, at the platform's pace. Knows no platform and no SDK: what it calls is a `Channel`.

A reader keeps the newest text only, so that the reply is never made to wait. A writer does one call at a time: it
waits until the budget has room for one more, looks at what the newest text is by then, records what it is about to
do, and does it. What fails is done again, with the newest text, until the final text stands there.

A reply that is whole within a moment is shown whole: it costs the room one call, where a first word, the sign of
thinking and an edit would cost it three, and the edit would have to wait for its turn.
"""

import asyncio
import logging
import random
from collections.abc import Callable, Coroutine, Iterator
from contextlib import suppress
from typing import Any, Literal, TypeVar

from adapters.delivery.budget import Budget, Pace, RoomBudget
from adapters.delivery.channel import Channel, Limited, MessageGone, Unavailable
from adapters.delivery.script import Script, Step
from core.errors import CoreError, Refused, StoreUnavailable
from core.turns import Draft, Fleet, Reply

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_LOOK_UP = 15.0


class Undelivered(Refused):
    """The platform would not take the final text for so long that the planner gave up."""

    def __init__(self, bot: str, seconds: float) -> None:
        super().__init__(
            bot,
            f"a reply could not be delivered for {seconds:.0f} s",
            fix="See the platform's status page, and whether this machine reaches it.",
        )


class Planner:
    """One bot's deliveries in this process: its budget, and one budget for each of its rooms.

    `pace` is the bot's; `fleet` shares its bot-wide part with the other workers. `in_doubt`: whether a message
    that may have been sent and cannot be found is sent again, or taken for shown and never edited. `patience` is
    how many seconds the final text may go without any progress. `moment` is how many seconds nothing is shown of a
    reply that is not final yet. `jitter` gives numbers from 0 to 1.
    """

    def __init__(
        self,
        bot: str,
        pace: Pace,
        fleet: Fleet,
        *,
        in_doubt: Literal["resend", "skip"] = "resend",
        patience: float = 600.0,
        moment: float = 0.2,
        jitter: Callable[[], float] = random.random,
    ) -> None:
        self._bot = bot
        self._pace = pace
        self._skip = in_doubt == "skip"
        self._patience = patience
        self._moment = moment
        self._jitter = jitter
        self._budget = Budget(bot, pace.bot, fleet)

    @property
    def rooms(self) -> int:
        """How many rooms' budgets are remembered."""
        return self._budget.rooms

    async def show(self, reply: Reply, channel: Channel, *, room: str, pace: Pace | None = None) -> None:
        """Show `reply` until its final text stands in the room.

        `room` names what the platform counts as one room; `pace` is its own if it differs from the bot's (its
        `bot` windows do not count). Raises `Refused` as the channel does, `Undelivered` after `patience`, and at
        once whatever the reply raises. Cancelling it is always safe: what was recorded can be taken over.
        """
        with self._budget.room(room, pace or self._pace) as room_budget:
            show = _Show(
                reply,
                channel,
                Script(reply.parts, channel.limit, channel.size, replaces=reply.replaces, skip=self._skip),
                self._budget,
                room_budget,
                bot=self._bot,
                patience=self._patience,
                moment=self._moment,
                jitter=self._jitter,
            )
            try:
                await show.run()
            except BaseExceptionGroup as failures:
                raise _cause(failures) from failures


class _Show:
    """One reply on its way into its room."""

    def __init__(
        self,
        reply: Reply,
        channel: Channel,
        script: Script,
        budget: Budget,
        room: RoomBudget,
        *,
        bot: str,
        patience: float,
        moment: float,
        jitter: Callable[[], float],
    ) -> None:
        self._reply = reply
        self._channel = channel
        self._script = script
        self._budget = budget
        self._room = room
        self._bot = bot
        self._patience = patience
        self._moment = moment
        self._jitter = jitter
        self._newest = Draft("")
        self._news = asyncio.Event()
        self._whole = asyncio.Event()
        self._failures = 0
        self._not_before = 0.0
        self._progress = 0.0  # when a call last worked, or the final text came
        self._waiting: asyncio.Timeout | None = None

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._read(), name="read reply")
            typing = None if self._script.is_visible else group.create_task(self._type(), name="typing")
            await self._write(typing)

    async def _read(self) -> None:
        async for draft in self._reply:
            self._newest = draft
            if draft.final:
                self._progress = asyncio.get_running_loop().time()
                self._bound()
                self._budget.review()
                self._whole.set()
            self._news.set()
        assert self._newest.final, "a reply ends with its final text"

    async def _type(self) -> None:
        await asyncio.sleep(self._moment)
        async with self._channel.typing():
            await asyncio.Event().wait()

    async def _write(self, typing: asyncio.Task[None] | None) -> None:
        """`typing` is ended when there is something to see."""
        if typing is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._moment):
                    await self._whole.wait()
        while True:
            draft = self._newest
            if draft.private and draft.text:
                await self._channel.tell(draft.text)
                break
            step = self._script.next(draft)
            if step is None and draft.final:
                break
            if step is None:
                self._news.clear()
                await self._news.wait()
                continue
            if step.call != "record":
                await self._turn_to_speak()
                if self._newest is not draft and (step := self._script.next(self._newest)) is None:
                    continue
            await self._do(step)
            if typing is not None and self._script.is_visible:
                typing.cancel()
        if typing is not None:
            typing.cancel()  # also where there was nothing to see

    def _is_urgent(self) -> bool:
        return self._newest.final or not self._script.is_visible

    def _bound(self) -> None:
        if self._waiting is not None and self._newest.final:
            self._waiting.reschedule(self._progress + self._patience)

    async def _turn_to_speak(self) -> None:
        """Wait until a failure is long enough ago and the budget has room; bounded once the text is final."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                self._bound()
                await asyncio.sleep(self._not_before - asyncio.get_running_loop().time())
                await self._budget.take(self._room, urgent=self._is_urgent)
        except TimeoutError:
            raise Undelivered(self._bot, self._patience) from None
        finally:
            self._waiting = None

    async def _do(self, step: Step) -> None:
        try:
            await self._call(step)
        except Limited as exc:
            await self._be_silent(exc)
        except Unavailable as exc:
            if exc.in_doubt:
                self._script.doubted(step)
            self._back_off()
        except MessageGone:
            log.info("part %d of a reply was removed from its room; it is not posted again", step.part)
            self._script.removed(step)
            self._worked()

    async def _call(self, step: Step) -> None:
        if step.call == "find":
            await self._find(step)
            return
        deadline = await self._reply.showing(step.part, step.text, step.end, final=step.final)
        self._script.recorded(step)
        if step.call == "send":
            key = self._reply.key(step.part)
            message = await _within(deadline, self._channel.send(step.source, key=key, controls=step.controls))
            self._script.sent(step, message)
            self._worked()
            await self._reply.shown(step.part, message)
        elif step.call == "edit":
            message = self._script.message(step)
            await _within(deadline, self._channel.edit(message, step.source, controls=step.controls))
            is_new = self._script.edited(step)
            self._worked()
            if is_new:
                await self._reply.shown(step.part, message)

    async def _find(self, step: Step) -> None:
        until = asyncio.get_running_loop().time() + _LOOK_UP
        message = await _within(until, self._channel.find(self._reply.key(step.part), step.source))
        self._script.found(step, message)
        if message is not None:
            self._worked()
            await self._reply.shown(step.part, message)

    def _worked(self) -> None:
        self._failures = 0
        self._progress = asyncio.get_running_loop().time()

    def _back_off(self) -> float:
        """Wait longer with each failure in a row, and not in step with everybody else."""
        wait = min(_FIRST_WAIT * 2.0**self._failures, _LONGEST_WAIT) * (1 + self._jitter()) / 2
        self._failures = min(self._failures + 1, 10)
        self._not_before = asyncio.get_running_loop().time() + wait
        return wait

    async def _be_silent(self, limited: Limited) -> None:
        after = max(limited.after, self._back_off())
        log.info(
            "%s must be silent for %.1f s (%s)", self._bot, after, "everywhere" if limited.everywhere else "a room"
        )
        if not limited.everywhere:
            self._budget.pause(self._room, after)
            return
        try:
            await self._budget.pause_everywhere(after)
        except StoreUnavailable as exc:
            log.warning("the other workers do not know that %s must be silent: %s", self._bot, exc)


async def _within(deadline: float, call: Coroutine[Any, Any, _T]) -> _T:
    """Make a call that must have ended at `deadline`. One that is cut off may have worked."""
    if deadline <= asyncio.get_running_loop().time():
        call.close()
        raise Unavailable(in_doubt=False)
    try:
        async with asyncio.timeout_at(deadline):
            return await call
    except TimeoutError:
        raise Unavailable(in_doubt=True) from None


def _cause(failures: BaseExceptionGroup[BaseException]) -> BaseException:
    """The one failure to tell the caller: one that the caller knows, if there is one."""
    leaves = list(_leaves(failures))
    return next((leaf for leaf in leaves if isinstance(leaf, CoreError)), leaves[0])


def _leaves(failures: BaseExceptionGroup[BaseException]) -> Iterator[BaseException]:
    for failure in failures.exceptions:
        if isinstance(failure, BaseExceptionGroup):
            yield from _leaves(failure)
        else:
            yield failure
