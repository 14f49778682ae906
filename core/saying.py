"""Events that need no conversation's order, on their way from the store to what is said to them. Each is answered
at least once, in no order; what a conversation does holds up none of them.
"""

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Mapping
from collections.abc import Set as AbstractSet

from core.answer import Deliver
from core.errors import AWAY, CoreError, Refused
from core.handler import Handler, Said
from core.languages import translated
from core.names import Names, platform_of
from core.reply import Notice
from core.store.control import Control, ControlEntry
from core.traces import trace
from core.turns import Conversation, Event

log = logging.getLogger(__name__)

_AT_ONCE = 16  # on each platform

_ASK_AGAIN = 1.0


class Saying:
    """Says what `handler` answers, by the adapters that are `answered` at the time. What nobody could do or say
    within `patience` seconds is let go. `ended` is told of each end."""

    def __init__(
        self,
        control: Control,
        handler: Handler,
        deliver: Mapping[str, Deliver],
        names: Names,
        *,
        answered: Callable[[], AbstractSet[str]],
        patience: float,
        ended: Callable[[], None],
    ) -> None:
        self._control = control
        self._handler = handler
        self._deliver = deliver
        self._names = names
        self._answered = answered
        self._patience = patience
        self._ended = ended
        self._saying: Counter[str] = Counter()
        self._leaving = False

    @property
    def idle(self) -> bool:
        """Whether nothing is being said."""
        return not self._saying.total()

    def leave(self) -> None:
        """Take nothing more."""
        self._leaving = True

    async def run(self) -> None:
        """Until `leave`, or until cancelled. A platform that is slow takes only its own places."""
        async with asyncio.TaskGroup() as group:
            while not self._leaving:
                platforms = {platform_of(name) for name in self._answered()}
                free = {name: left for name in platforms if (left := _AT_ONCE - self._saying[name]) > 0}
                most = min(free.values(), default=1)
                try:
                    entries = await self._control.take(free, most, wait=1.0, wanted=self._is_answered)
                except AWAY as exc:
                    log.warning("the store is away: %s", exc)
                    await asyncio.sleep(_ASK_AGAIN)
                    continue
                for entry in entries:
                    self._saying[entry.event.room.platform] += 1
                    group.create_task(self._say(entry, group), name="say")

    def _is_answered(self, conversation: Conversation) -> bool:
        return self._names.of(conversation) in self._answered()

    async def _say(self, entry: ControlEntry, group: asyncio.TaskGroup) -> None:
        event = entry.event
        holding = group.create_task(self._control.hold(entry), name="hold")
        try:
            if await self._is_said(entry) or entry.age > self._patience:
                await self._control.done(entry)
        except AWAY as exc:
            log.warning("the store went away while %s was answered: %s", event.id, exc)
        finally:
            holding.cancel()
            self._saying[event.room.platform] -= 1
            self._ended()

    async def _is_said(self, entry: ControlEntry) -> bool:
        """Whether it is answered, or never will be. If not, its entry becomes stale, and is tried again."""
        event = entry.event
        if (deliver := self._deliver.get(self._names.of(event.said_in))) is None:
            return False
        try:
            async with asyncio.timeout(self._patience):
                said = await self._answer(event)
                if said.text:
                    await deliver(event, Notice(self._control, entry, said.text, said.filed))
        except (*AWAY, TimeoutError) as exc:
            log.warning("could not answer %s yet: %s", event.id, type(exc).__name__)
            return False
        except Refused as exc:
            log.warning("%s: %s", event.id, exc)
        except Exception as exc:  # noqa: BLE001 - whatever one event does, the others are answered
            log.error("could not answer %s\n%s", event.id, trace(exc))  # noqa: TRY400
        return True

    async def _answer(self, event: Event) -> Said:
        """What the handler says. Whoever asked for what fails hears of it. Raises what passes."""
        try:
            return await self._handler.handle(event)
        except (*AWAY, TimeoutError):
            raise
        except Exception as exc:  # noqa: BLE001 - commands are other people's code, too
            log.error("could not do what %s asks for\n%s", event.id, trace(exc))  # noqa: TRY400
            return Said("" if event.kind == "delete" else translated(CoreError.reply, event.locale))
