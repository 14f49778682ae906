"""An engine for tests of what a model is told."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.engine.engine import NOBODY, Caller, Completion, Message, Params, Picture
from core.engine.scripted import ScriptedEngine


class Attentive(ScriptedEngine):
    """Keeps what it was asked, and the pictures that it was shown."""

    def __init__(self, *, sees: bool = False) -> None:
        super().__init__()
        self.sees = sees
        self.asked: list[str] = []
        self.pictures: list[Picture] = []

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        self.asked = [message.whole for message in messages if message.role == "user"]
        self.pictures = [picture for message in messages for picture in message.pictures]
        async with super().generate(messages, params, caller) as completion:
            yield completion
