"""An engine for tests of what a model is told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.engine.engine import NOBODY, Caller, Completion, Message, Params
from core.engine.scripted import ScriptedEngine


class Attentive(ScriptedEngine):
    """Keeps what it was asked."""

    def __init__(self) -> None:
        super().__init__()
        self.asked: list[str] = []

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        self.asked = [message.whole for message in messages if message.role == "user"]
        async with super().generate(messages, params, caller) as completion:
            yield completion
