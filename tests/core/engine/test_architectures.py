"""With greedy sampling each architecture says what transformers' own `generate` says, alone and in company."""

import asyncio

import pytest

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message, Params
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.scheduler import SchedulerSettings
from tests.core.engine.architectures import ARCHITECTURES
from tests.core.engine.tiny import ask, byte_level, reference, running

GREEDY = Params(max_tokens=20, temperature=0.0)
CONTEXT = 768
LENGTHS = (1, 40, 7, 100, 2, 25)


def question(words: int) -> tuple[Message, ...]:
    return (Message("system", "You are kind."), Message("user", " ".join(f"{i} rains" for i in range(words))))


@pytest.fixture(scope="module", params=sorted(ARCHITECTURES))
def loaded(request: pytest.FixtureRequest) -> Loaded:
    tokenizer = byte_level(every_byte=False)
    model = ARCHITECTURES[request.param](len(tokenizer), CONTEXT)
    return Loaded(request.param, model, tokenizer, frozenset({2}), CONTEXT)


async def test_tokens_are_those_of_generate_for_everybody_in_the_batch_and_from_the_cache(loaded: Loaded) -> None:
    chat = ChatTokenizer(loaded.tokenizer)
    settings = SchedulerSettings(max_running=4, prefill_budget=24, drafts=3, draft_running=2)
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01, scheduler=settings))
    expected = [reference(loaded.model, chat.encode(question(n)), GREEDY) for n in LENGTHS]
    async with running(engine):
        asked = await asyncio.gather(*(ask(engine, question(n), GREEDY) for n in LENGTHS))
        before = asked[LENGTHS.index(100)]
        answer = Message("assistant", before.text, before.token_ids, engine.fingerprint)
        longer = (*question(100), answer, Message("user", "And why?"))
        after = await ask(engine, longer, GREEDY)
    assert [list(answer.token_ids) for answer in asked] == expected
    assert list(after.token_ids) == reference(loaded.model, chat.encode(longer), GREEDY)
    assert before.usage is not None
    assert after.usage is not None
    assert after.usage.cached >= before.usage.prompt + len(before.token_ids) - 1
