"""What a dialogue asks its engine for."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import NOBODY, Caller, Completion, Message, Params
from core.turns import Turn
from tests.core.rooms import Mirror, event


class Asked(Mirror):
    """An engine that notes how long an answer may be, and for whom it is."""

    def __init__(self) -> None:
        self.most: list[int] = []
        self.callers: list[Caller] = []

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        self.most.append(params.max_tokens)
        self.callers.append(caller)
        async with super().generate(messages, params, caller) as deltas:
            yield deltas


async def test_what_another_worker_has_written_counts_as_a_part_of_the_answer() -> None:
    engine = Asked()
    dialogue = Dialogue(engine, DialogueSettings(persona="", params=Params(max_tokens=40)))
    prompt = dialogue.prompt(event(1), (), persona=None)
    for written in ("", "word " * 30, "word " * 90):
        async with dialogue.answer(prompt, so_far=written):
            pass
    assert engine.most == [40, 10, 1]


async def test_the_engine_is_told_whom_the_answer_is_for() -> None:
    engine = Asked()
    dialogue = Dialogue(engine, DialogueSettings(persona=""))
    asked = event(1)
    async with dialogue.answer(dialogue.prompt(asked, (), persona=None)):
        pass
    [caller] = engine.callers
    assert caller == Caller(f"{asked.room.platform}:{asked.speaker.id}", str(asked.conversation))


async def test_a_prompt_is_cut_to_fewer_tokens_when_a_server_wants_it_shorter() -> None:
    dialogue = Dialogue(Mirror(), DialogueSettings(persona=""))
    window = [
        Turn(number=number, role="assistant" if number % 2 else "user", text="some words") for number in range(40)
    ]
    whole = dialogue.prompt(event(1), window, persona=None)
    cut = dialogue.prompt(event(1), window, persona=None, within=whole.tokens // 2)
    assert 0 < cut.tokens <= whole.tokens // 2
    assert cut.messages[-1] == whole.messages[-1]
