"""What a dialogue asks its engine for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import Delta, Message, Params
from tests.core.rooms import Mirror, event


class Asked(Mirror):
    """An engine that notes how long an answer may be."""

    def __init__(self) -> None:
        self.most: list[int] = []

    @asynccontextmanager
    async def generate(self, messages: Sequence[Message], params: Params) -> AsyncIterator[AsyncIterator[Delta]]:
        self.most.append(params.max_tokens)
        async with super().generate(messages, params) as deltas:
            yield deltas


async def test_what_another_worker_has_written_counts_as_a_part_of_the_answer() -> None:
    engine = Asked()
    dialogue = Dialogue(engine, DialogueSettings(persona="", params=Params(max_tokens=40)))
    prompt = dialogue.prompt(event(1), (), persona=None)
    for written in ("", "word " * 30, "word " * 90):
        async with dialogue.answer(prompt, so_far=written):
            pass
    assert engine.most == [40, 10, 1]
