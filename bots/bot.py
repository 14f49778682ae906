"""The bot while it runs, for whoever started it."""

import asyncio
from collections.abc import Sequence

from bots.life import Life
from core.dialogue import Dialogue, DialogueSettings
from core.errors import Refused
from core.guard import Guard, GuardSettings


class Bot:
    """What runs. `listening` is set when everything that can be reached from outside listens, stands by or
    delivers (an adapter that was refused is not waited for); `stop` ends the bot from anywhere, and `patience` is
    how many seconds replies then have to end by themselves."""

    def __init__(
        self, lives: Sequence[Life], guard: Guard, dialogues: Sequence[Dialogue], *, served: bool
    ) -> None:
        self.url: str | None = None
        self.patience = 0.0
        self.lives = lives
        self.listening = asyncio.Event()
        self._guard = guard
        self._dialogues = dialogues
        self._waiting_for = {*(life.name for life in lives), *(("http",) if served else ())}
        self._stopped = asyncio.Event()
        self._note()

    @property
    def refused(self) -> Sequence[Refused]:
        """Why platforms would not have us."""
        return [life.refusal for life in self.lives if life.refusal is not None]

    @property
    def refused_all(self) -> bool:
        """No platform took us: nothing is left to do."""
        return len(self.refused) == len(self.lives) > 0

    def stop(self) -> None:
        self._stopped.set()

    async def until_stopped(self) -> None:
        await self._stopped.wait()

    def use(self, dialogue: DialogueSettings, guard: GuardSettings) -> None:
        """Go on with these settings."""
        for each in self._dialogues:
            each.use(dialogue)
        self._guard.use(guard)

    def started(self, what: str) -> None:
        self._waiting_for.discard(what)
        self._note()

    def _note(self) -> None:
        if not self._waiting_for:
            self.listening.set()
