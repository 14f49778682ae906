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
from dataclasses import dataclass
from typing import Any, Literal, TypeVar

from adapters.delivery.budget import Budget, Pace, RoomBudget
from adapters.delivery.channel import Channel, File, Limited, MessageGone, Unattached, Unavailable
from adapters.delivery.script import InFile, Script, Step
from adapters.wire import Outcome, Wire
from core.errors import CoreError, Refused, StoreUnavailable
from core.turns import Draft, Fleet, Reply

log = logging.getLogger(__name__)

_T = TypeVar("_T")

_FIRST_WAIT, _LONGEST_WAIT = 0.5, 30.0
_LOOK_UP = 15.0
_PREVIEW = 5.0
_FILE = "answer.md"

Preview = Callable[[str], Coroutine[Any, Any, bool]]
"""Shows a reply ahead of its message, in a way that leaves nothing behind and need not be recorded. False: there
is no such thing here. Raises what the calls of a `Channel` raise."""


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
    reply that is not final yet. `jitter` gives numbers from 0 to 1. Calls are counted in `wire`.
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
        wire: Wire | None = None,
    ) -> None:
        self._pace = pace
        self._skip = in_doubt == "skip"
        self._bot = _Bot(
            name=bot,
            budget=Budget(bot, pace.bot, fleet),
            patience=patience,
            moment=moment,
            jitter=jitter,
            wire=wire or Wire(),
        )

    @property
    def rooms(self) -> int:
        """How many rooms' budgets are remembered."""
        return self._bot.budget.rooms

    async def show(
        self,
        reply: Reply,
        channel: Channel,
        *,
        room: str,
        pace: Pace | None = None,
        preview: Preview | None = None,
        in_file: InFile | None = None,
    ) -> None:
        """Show `reply` until its final text stands in the room.

        `room` names what the platform counts as one room; `pace` is its own if it differs from the bot's (its
        `bot` windows do not count). With `preview` a message is sent only when it is whole. Raises `Refused` as
        the channel does, `Undelivered` after `patience`, and at once whatever the reply raises. Cancelling it is
        always safe: what was recorded can be taken over.
        """
        with self._bot.budget.room(room, pace or self._pace) as room_budget:
            script = Script(
                reply.parts,
                channel.limit,
                channel.size,
                replaces=reply.replaces,
                skip=self._skip,
                streams=channel.streams,
                previews=preview is not None,
                in_file=in_file,
            )
            try:
                await _Show(self._bot, room_budget, reply, channel, preview, script).run()
            except BaseExceptionGroup as failures:
                raise _cause(failures) from failures


@dataclass(frozen=True, slots=True, kw_only=True)
class _Bot:
    """What all replies of a bot have in common: see `Planner`."""

    name: str
    budget: Budget
    patience: float
    moment: float
    jitter: Callable[[], float]
    wire: Wire


class _Show:
    """One reply on its way into its room."""

    def __init__(
        self,
        bot: _Bot,
        room: RoomBudget,
        reply: Reply,
        channel: Channel,
        preview: Preview | None,
        script: Script,
    ) -> None:
        self._bot = bot
        self._room = room
        self._reply = reply
        self._channel = channel
        self._preview = preview
        self._script = script
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
                self._bot.budget.review()
                self._whole.set()
            self._news.set()
        assert self._newest.final, "a reply ends with its final text"

    async def _type(self) -> None:
        await asyncio.sleep(self._bot.moment)
        async with self._channel.typing():
            await asyncio.Event().wait()

    async def _write(self, typing: asyncio.Task[None] | None) -> None:
        """`typing` is ended when there is something to see."""
        if typing is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(self._bot.moment):
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
            self._waiting.reschedule(self._progress + self._bot.patience)

    async def _turn_to_speak(self) -> None:
        """Wait until a failure is long enough ago and the budget has room; bounded once the text is final."""
        try:
            async with asyncio.timeout(None) as self._waiting:
                self._bound()
                await asyncio.sleep(self._not_before - asyncio.get_running_loop().time())
                await self._bot.budget.take(self._room, urgent=self._is_urgent)
        except TimeoutError:
            raise Undelivered(self._bot.name, self._bot.patience) from None
        finally:
            self._waiting = None

    async def _do(self, step: Step) -> None:
        try:
            await self._call(step)
        except Limited as exc:
            self._count(step, "limited")
            await self._be_silent(exc)
        except Unavailable as exc:
            self._count(step, "unavailable")
            if exc.in_doubt:
                self._script.doubted(step)
            self._back_off()
        except Unattached:
            self._count(step, "refused")
            log.info("a long reply goes on in messages: its room takes no files")
            self._script.takes_files = False
        except Refused:
            self._count(step, "refused")
            raise
        except MessageGone:
            self._count(step, "gone")
            log.info("part %d of a reply was removed from its room; it is not posted again", step.part)
            self._script.removed(step)
            self._worked()
        else:
            self._count(step, "done")

    def _count(self, step: Step, outcome: Outcome) -> None:
        if step.call != "record":
            self._bot.wire.calls[step.call, outcome] += 1

    async def _call(self, step: Step) -> None:
        if step.call == "find":
            await self._find(step)
            return
        if step.call == "preview":
            await self._show_ahead(step)
            return
        deadline = await self._reply.showing(step.part, step.text, step.end, final=step.final)
        self._script.recorded(step)
        if step.call == "send":
            key = self._reply.key(step.part)
            send = self._channel.send(step.source, key=key, controls=step.controls, grows=step.grows)
            message = await _within(deadline, send)
            self._script.sent(step, message)
            self._worked()
            await self._reply.shown(step.part, message)
        elif step.call == "edit":
            message = self._script.message(step)
            file = File(_FILE, self._newest.text) if step.file else None
            edit = self._channel.edit(message, step.source, controls=step.controls, grows=step.grows, file=file)
            await _within(deadline, edit)
            is_new = self._script.edited(step)
            self._worked()
            if is_new:
                await self._reply.shown(step.part, message)

    async def _show_ahead(self, step: Step) -> None:
        assert self._preview is not None, "only what can be previewed is"
        until = asyncio.get_running_loop().time() + _PREVIEW
        if await _within(until, self._preview(step.source)):
            self._script.previewed(step)
            self._worked()
        else:
            self._script.previews = False

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
        wait = min(_FIRST_WAIT * 2.0**self._failures, _LONGEST_WAIT) * (1 + self._bot.jitter()) / 2
        self._failures = min(self._failures + 1, 10)
        self._not_before = asyncio.get_running_loop().time() + wait
        return wait

    async def _be_silent(self, limited: Limited) -> None:
        after = max(limited.after, self._back_off())
        where = "everywhere" if limited.everywhere else "a room"
        log.info("%s must be silent for %.1f s (%s)", self._bot.name, after, where)
        if not limited.everywhere:
            self._bot.budget.pause(self._room, after)
            return
        try:
            await self._bot.budget.pause_everywhere(after)
        except StoreUnavailable as exc:
            log.warning("the other workers do not know that %s must be silent: %s", self._bot.name, exc)


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
