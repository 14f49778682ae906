"""This process among the others of its installation: it shows itself every few seconds, and does what the operator
asks of it. What it shows and what it is asked is not kept; the operator's page asks again until it sees it done.
"""

import asyncio
import logging
import os
import secrets
import socket
import time
from contextlib import suppress

import msgspec

from bots.bot import Bot
from bots.instruments import sight
from bots.instruments.instruments import Instruments
from bots.instruments.sight import Sight
from core.engine.engine import Engine
from core.errors import AWAY
from core.store.store import Store
from core.worker import Worker

log = logging.getLogger(__name__)

EVERY = 2.0
"""Seconds between two sights."""

_AGAIN_SECONDS = 1.0


class Order(msgspec.Struct, frozen=True):
    """The process with this id shall take no work, or take it again."""

    process: str
    rest: bool


class Presence:
    """That of the process in which `bot` runs; `engine` and `worker` where it answers, and `role` in a word."""

    def __init__(
        self,
        store: Store,
        instruments: Instruments,
        bot: Bot,
        *,
        engine: Engine | None,
        worker: Worker | None,
        role: str,
        every: float = EVERY,
    ) -> None:
        self.id = secrets.token_hex(4)
        self._announcements = store.announcements
        self._instruments = instruments
        self._bot = bot
        self._engine = engine
        self._worker = worker
        self._role = role
        self._every = every
        self._started = time.time()
        self._rest: bool | None = None  # what was asked last, until it is done
        self._asked = asyncio.Event()

    async def run(self) -> None:
        """Until cancelled. A store that is away is waited for."""
        while True:
            try:
                async with self._announcements.listening("orders", self._hear):
                    await self._show_for_ever()
            except AWAY as exc:
                log.debug("nobody sees this process: %s", exc)
                await asyncio.sleep(_AGAIN_SECONDS)

    async def _show_for_ever(self) -> None:
        while True:
            await self._obey()
            await self._announcements.tell("sights", msgspec.json.encode(self._sight()))
            with suppress(TimeoutError):
                async with asyncio.timeout(self._every):
                    await self._asked.wait()

    def _hear(self, message: bytes) -> None:
        order = msgspec.json.decode(message, type=Order)
        if order.process == self.id:
            self._rest = order.rest
            self._asked.set()

    async def _obey(self) -> None:
        self._asked.clear()
        rest = self._rest
        if self._worker is None or rest is None or rest == self._worker.resting:
            return
        log.warning("the operator asks this process %s", "to take no work" if rest else "to take work again")
        await (self._worker.rest() if rest else self._worker.resume())

    def _sight(self) -> Sight:
        turns, more = sight.turns(self._instruments)
        return Sight(
            id=self.id,
            host=socket.gethostname(),
            pid=os.getpid(),
            role=self._role,
            started=self._started,
            resting=self._worker is not None and self._worker.resting,
            platforms=sight.platforms(self._instruments, self._bot.lives),
            turns=turns,
            more=more,
            model=sight.model(self._instruments, self._engine),
        )
