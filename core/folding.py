"""Summaries are written while nobody is answered here.

Which conversation wants one is said by whoever has answered it, and known only in this process: when that ends,
the next to answer the conversation says it again. A summary that was begun and not ended is begun again; one that
comes too late is missed by no one, since prompts do without. Between processes a lease decides who writes.
"""

import asyncio
import logging
from contextlib import suppress

from core.dialogue import Dialogue
from core.errors import CoreError
from core.store.folds import Fold, Folds, Held
from core.traces import trace
from core.turns import Conversation

log = logging.getLogger(__name__)

_MOST = 256
"""How many conversations are remembered that want a summary; then those that asked first are let go."""

_RELEASE_SECONDS = 0.5


class Folding:
    """Writes one summary after another, each within `seconds`."""

    def __init__(self, folds: Folds, dialogue: Dialogue, *, seconds: float) -> None:
        self._folds = folds
        self._dialogue = dialogue
        self._seconds = seconds
        self._wanted: dict[Conversation, int] = {}
        self._idle = True
        self._stopped = False
        self._may_begin = asyncio.Event()
        self._broken_off = False
        self._writing: asyncio.Timeout | None = None

    def want(self, conversation: Conversation, upto: int) -> None:
        """Fold the conversation's turns up to number `upto` when there is time."""
        self._wanted.pop(conversation, None)
        if len(self._wanted) == _MOST:
            del self._wanted[next(iter(self._wanted))]
        self._wanted[conversation] = upto
        self._note()

    def pause(self) -> None:
        """Somebody is to be answered. What is being written is broken off, and begun again later."""
        self._idle = False
        self._note()
        self._broken_off = True
        if self._writing is not None and not self._writing.expired():
            self._writing.reschedule(asyncio.get_running_loop().time())

    def resume(self) -> None:
        """Nobody is being answered any more."""
        self._idle = True
        self._note()

    def stop(self) -> None:
        """Break off, and begin nothing any more."""
        self._stopped = True
        self.pause()

    async def run(self) -> None:
        """Write what is wanted until cancelled."""
        while True:
            await self._may_begin.wait()
            conversation, upto = next(iter(self._wanted.items()))
            if await self._is_settled(conversation, upto) and self._wanted.get(conversation) == upto:
                del self._wanted[conversation]
                self._note()

    async def _is_settled(self, conversation: Conversation, upto: int) -> bool:
        """Whether it is written, or not worth another try now. If not, it was broken off."""
        self._broken_off = False
        try:
            async with asyncio.timeout(self._seconds) as self._writing:
                await self._fold(conversation, upto)
        except* TimeoutError:
            if not self._broken_off:
                log.warning("no summary of %s within %.0f s", conversation, self._seconds)
        except* CoreError as failures:
            log.warning("no summary of %s: %s", conversation, failures.exceptions[0])
        except* Exception as failures:  # noqa: BLE001 - whatever one conversation does, the others are answered
            log.error("no summary of %s\n%s", conversation, trace(failures))  # noqa: TRY400
        finally:
            self._writing = None
        return not self._broken_off

    async def _fold(self, conversation: Conversation, upto: int) -> None:
        while isinstance(taken := await self._folds.take(conversation, upto), Held):  # noqa: ASYNC110 - elsewhere
            await asyncio.sleep(taken.seconds)  # it is written by then, unless its writer has died
        if taken is None:
            return
        try:
            async with asyncio.TaskGroup() as group:
                keeping = group.create_task(self._keep(taken), name="keep")
                text = await self._dialogue.summarise(taken.summaries.newest.text, taken.turns)
                keeping.cancel()
            if text and await self._folds.write(taken, text):
                log.info("summarised the turns %d to %d of %s", taken.first, upto, conversation)
        finally:
            with suppress(CoreError, TimeoutError):
                async with asyncio.timeout(_RELEASE_SECONDS):
                    await self._folds.release(taken)

    async def _keep(self, fold: Fold) -> None:
        while True:
            await asyncio.sleep(self._folds.beat_every)
            await self._folds.keep(fold)

    def _note(self) -> None:
        if self._wanted and self._idle and not self._stopped:
            self._may_begin.set()
        else:
            self._may_begin.clear()
