"""With greedy sampling, whoever runs beside it, each sequence gets the tokens that it gets alone."""

import asyncio
import logging
from collections.abc import Sequence
from dataclasses import replace

import pytest

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message, Params
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.errors import EngineError, EngineStopped, Overloaded, PromptTooLong
from tests.core.engine.tiny import Completion, ask, byte_level, loaded, reference, running

GREEDY = Params(max_tokens=24, temperature=0.0)
LENGTHS = (1, 90, 7, 300, 30, 2)


def question(words: int) -> tuple[Message, ...]:
    return (Message("system", "You are kind."), Message("user", " ".join(f"{i} rains" for i in range(words))))


def alone(tiny: Loaded, messages: Sequence[Message], params: Params = GREEDY) -> tuple[int, ...]:
    return tuple(reference(tiny.model, ChatTokenizer(tiny.tokenizer).encode(messages), params))


@pytest.fixture(scope="session")
def large(tiny: Loaded) -> Loaded:
    return loaded(byte_level(every_byte=False), context=4096)


@pytest.mark.parametrize("chunk", [1, 5, 256])
@pytest.mark.parametrize("penalty", [1.0, 1.3])
async def test_greedy_tokens_are_those_of_transformers_generate(tiny: Loaded, chunk: int, penalty: float) -> None:
    engine = LocalEngine(tiny, LocalSettings(prefill_chunk=chunk))
    params = replace(GREEDY, repetition_penalty=penalty)
    async with running(engine):
        answer = await ask(engine, question(9), params)
    assert answer.token_ids == alone(tiny, question(9), params)
    assert len(answer.token_ids) > 5
    assert answer.text == tiny.tokenizer.decode(list(answer.token_ids))
    assert len(answer.pieces) > 5, "it streams"


async def test_many_at_once_of_mixed_lengths_get_what_they_get_alone(large: Loaded) -> None:
    engine = LocalEngine(large, LocalSettings(max_running=4, prefill_chunk=16))
    async with running(engine), asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(engine, question(n), GREEDY)) for n in LENGTHS]
    assert [task.result().token_ids for task in asked] == [alone(large, question(n)) for n in LENGTHS]


async def test_late_arrivals_and_cancellations_change_nothing_for_the_others(large: Loaded) -> None:
    engine = LocalEngine(large, LocalSettings(max_running=3, prefill_chunk=16))
    late: list[asyncio.Task[Completion]] = []
    first: list[int] = []
    long = replace(GREEDY, max_tokens=60)
    async with running(engine), asyncio.TaskGroup() as group, engine.generate(question(40), long) as deltas:
        async for delta in deltas:
            first += delta.token_ids
            late.append(group.create_task(ask(engine, question(len(late) + 1), GREEDY)))
            async with engine.generate(question(50), GREEDY) as left:
                if len(late) % 2:
                    await anext(left)  # left in the middle of its text, every other one before its first step
    assert tuple(first) == alone(large, question(40), long)
    assert len(late) > 3
    for i, task in enumerate(late):
        assert task.result().token_ids == alone(large, question(i + 1))


async def test_a_cancelled_one_gives_its_place_to_the_next(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, LocalSettings(max_running=1))
    async with running(engine), asyncio.TaskGroup() as group:
        async with engine.generate(question(5), replace(GREEDY, max_tokens=400)) as deltas:
            await anext(deltas)
            waiting = group.create_task(ask(engine, question(2), GREEDY))
        assert (await waiting).token_ids == alone(tiny, question(2))


async def test_a_cancelled_reader_leaves_at_once(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, LocalSettings(max_running=1))
    async with asyncio.TaskGroup() as group:  # nothing runs: whoever asks waits
        asking = group.create_task(ask(engine, question(2), GREEDY))
        await asyncio.sleep(0)
        asking.cancel()
    assert asking.cancelled()
    async with running(engine):
        assert (await ask(engine, question(2), GREEDY)).token_ids == alone(tiny, question(2))


async def test_a_full_waiting_line_refuses_and_forgets(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, LocalSettings(max_running=1, max_waiting=1))
    async with engine.generate(question(1), GREEDY), engine.generate(question(1), GREEDY):
        with pytest.raises(Overloaded):
            await ask(engine, question(1), GREEDY)
    async with running(engine):
        assert (await ask(engine, question(1), GREEDY)).finish[-1]


async def test_a_completion_ends_at_max_tokens_and_at_the_end_of_the_context(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    async with running(engine):
        short = await ask(engine, question(3), replace(GREEDY, max_tokens=4))
        room = engine.context - engine.count(question(20))
        whole = await ask(engine, question(20), replace(GREEDY, max_tokens=10_000))
    assert (len(short.token_ids), short.finish[-1]) == (4, "length")
    assert (len(whole.token_ids), whole.finish[-1]) == (room, "length")


async def test_a_prompt_that_fills_the_context_is_refused(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    for text in ("1 2 " * 400, "🦊" * 100_000):
        assert engine.count((Message("user", text),)) >= engine.context
        with pytest.raises(PromptTooLong):
            await ask(engine, text, GREEDY)


async def test_the_end_of_turn_is_no_text(tiny: Loaded) -> None:
    prompt = ChatTokenizer(tiny.tokenizer).encode(question(3))
    third = reference(tiny.model, prompt, GREEDY)[3]
    engine = LocalEngine(replace(tiny, end_of_turn=frozenset({third})))
    async with running(engine):
        answer = await ask(engine, question(3), GREEDY)
    expected = alone(tiny, question(3))
    assert answer.token_ids == expected[: expected.index(third)]
    assert answer.finish[-1] == "stop"


async def test_a_stop_string_ends_the_text_before_it(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    async with running(engine):
        whole = (await ask(engine, question(3), GREEDY)).text
        stop = whole[6:9]
        answer = await ask(engine, question(3), replace(GREEDY, stop=(stop,)))
        again = await ask(engine, question(3), GREEDY)
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish[-1] == "stop"
    assert whole.startswith(ChatTokenizer(tiny.tokenizer).decode(answer.token_ids))
    assert again.text == whole


async def test_an_answer_that_was_cut_is_gone_on_with(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    async with running(engine):
        whole = await ask(engine, question(3), GREEDY)
        cut = await ask(engine, question(3), replace(GREEDY, max_tokens=9))
        so_far = Message("assistant", cut.text, cut.token_ids, engine.fingerprint)
        rest = await ask(engine, (*question(3), so_far), replace(GREEDY, max_tokens=15))
    assert cut.token_ids + rest.token_ids == whole.token_ids
    assert cut.text + rest.text == whole.text


async def test_a_seed_makes_an_answer_repeatable(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    warm = Params(max_tokens=20, temperature=1.0, top_p=1.0, seed=5)
    async with running(engine):
        one, two = await ask(engine, question(3), warm), await ask(engine, question(3), warm)
        other = await ask(engine, question(3), replace(warm, seed=6))
    assert one.token_ids == two.token_ids != other.token_ids


async def test_one_that_fails_in_the_model_takes_nobody_with_it(caplog: pytest.LogCaptureFixture) -> None:
    tokenizer = byte_level(every_byte=False)
    tokenizer.add_tokens(["qqq"])  # a token that the model has no row for
    broken = loaded(tokenizer, vocabulary=len(tokenizer) - 1)
    engine = LocalEngine(broken)
    secret = "qqq and a secret"
    async with running(engine), asyncio.TaskGroup() as group:
        good = group.create_task(ask(engine, question(4), GREEDY))
        with pytest.raises(EngineError) as raised, caplog.at_level(logging.ERROR):
            await ask(engine, secret, GREEDY)
        assert (await good).token_ids == alone(broken, question(4))
    assert type(raised.value) is EngineError
    assert "secret" not in f"{raised.value} {caplog.text}"


async def test_who_waits_when_the_engine_stops_is_told_so(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, LocalSettings(max_running=1))
    async with engine.generate(question(3), GREEDY) as reading, engine.generate(question(3), GREEDY) as waiting:
        async with running(engine):
            await anext(reading)
        for deltas in (reading, waiting):
            with pytest.raises(EngineStopped):
                async for _ in deltas:
                    pass
    with pytest.raises(EngineStopped):
        await ask(engine, question(3), GREEDY)


async def test_an_engine_that_was_stopped_can_run_again(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    async with running(engine):
        before = await ask(engine, question(3), GREEDY)
    async with running(engine), asyncio.timeout(20):
        await asyncio.sleep(0)
        assert await ask(engine, question(3), GREEDY) == before


async def test_the_count_is_the_prompts_length(tiny: Loaded) -> None:
    engine = LocalEngine(tiny)
    assert engine.count(question(9)) == len(ChatTokenizer(tiny.tokenizer).encode(question(9)))
