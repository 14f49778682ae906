"""Whole conversations: a turn costs what is new in it."""

import asyncio
from itertools import pairwise

import pytest

from core.dialogue import Dialogue, DialogueSettings
from core.engine.engine import Params, Usage
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.scheduler import SchedulerSettings
from core.turns import Turn
from tests.core.engine.tiny import byte_level, loaded, running
from tests.core.rooms import event

WINDOW = 900
PERSONA = "You are a kind assistant."
REPLY = 12  # tokens


@pytest.fixture(scope="module")
def tiny() -> Loaded:
    return loaded(byte_level(every_byte=False), context=1024)


async def talk(dialogue: Dialogue, engine: LocalEngine, turns: int) -> list[Usage]:
    """A conversation as a worker has it: what was said is remembered with its tokens, and the window's start moves
    on where the prompt's did."""
    window: list[Turn] = []
    took: list[Usage] = []
    for number in range(turns):
        text = f"{number} When does it rain? And what is the capital?"
        prompt = dialogue.prompt(event(number, text), window, persona=None)
        said, ids = "", tuple[int, ...]()
        async with dialogue.answer(prompt) as answer:
            async for delta in answer:
                said, ids = said + delta.text, ids + delta.token_ids
                usage = delta.usage
        assert usage is not None
        took.append(usage)
        asked = Turn(number=2 * number + 1, role="user", text=text)
        answered = Turn(
            number=2 * number + 2, role="assistant", text=said, token_ids=ids, tokenizer=engine.fingerprint
        )
        window = [turn for turn in window if prompt.start is None or turn.number >= prompt.start]
        window += [asked, answered]
    return took


def local(tiny: Loaded, **scheduler: int) -> tuple[LocalEngine, Dialogue]:
    engine = LocalEngine(tiny, LocalSettings(kv_cache_gb=0.05, scheduler=SchedulerSettings(**scheduler)))
    params = Params(max_tokens=REPLY, temperature=0.0)
    return engine, Dialogue(engine, DialogueSettings(persona=PERSONA, window=WINDOW, params=params))


async def test_a_conversation_three_times_as_long_as_the_window_keeps_hitting(tiny: Loaded) -> None:
    engine, dialogue = local(tiny)
    async with running(engine):
        took = await talk(dialogue, engine, 80)
    said = sum(usage.prompt - before.prompt for before, usage in pairwise(took) if usage.prompt > before.prompt)
    assert said > 3 * WINDOW
    jumps = [usage for before, usage in pairwise(took) if usage.prompt < before.prompt]
    assert len(jumps) > 3
    for before, usage in pairwise(took):
        if usage.prompt > before.prompt:
            assert usage.cached >= before.prompt
    rate = sum(usage.cached for usage in took) / sum(usage.prompt for usage in took)
    assert rate > 0.75


async def test_load_tells_what_the_cache_holds_and_what_was_found_in_it(tiny: Loaded) -> None:
    engine, dialogue = local(tiny)
    assert engine.load.cache_used == 0
    async with running(engine):
        took = await talk(dialogue, engine, 4)
        load = engine.load
    assert load.cached_tokens == sum(usage.cached for usage in took) > 0
    # A prompt's last token is read in the step that makes the first one of the answer.
    assert load.cached_tokens + load.prefill_tokens == sum(usage.prompt - 1 for usage in took)
    assert 0 < load.cache_used < load.cache_blocks


async def test_conversations_share_the_persona_and_keep_their_own_history(tiny: Loaded) -> None:
    engine, dialogue = local(tiny, max_running=2)
    async with running(engine):
        [first] = await talk(dialogue, engine, 1)
        others = await asyncio.gather(*(talk(dialogue, engine, 4) for _ in range(5)))
    assert first.cached == 0
    for took in others:
        assert took[0].cached > len(PERSONA.split())
        for before, usage in pairwise(took):
            assert usage.cached >= before.prompt
