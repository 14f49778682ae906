"""With greedy sampling, whoever runs beside it, each sequence gets the tokens that it gets alone."""

import asyncio
import copy
import logging
import threading
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, NamedTuple

import hypothesis
import pytest
import torch
from hypothesis import HealthCheck, given
from hypothesis import strategies as st

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Caller, Logprob, Message, Params
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.scheduler import SchedulerSettings
from core.errors import CoreError, EngineError, EngineStopped, InvalidParams, Overloaded, PromptTooLong
from tests.core.engine.tiny import Completion, ask, byte_level, loaded, reference, running

GREEDY = Params(max_tokens=24, temperature=0.0)
LENGTHS = (1, 90, 7, 300, 30, 2)


def settings(**scheduler: int) -> LocalSettings:
    return LocalSettings(kv_cache_gb=0.02, scheduler=SchedulerSettings(**scheduler))


def question(words: int) -> tuple[Message, ...]:
    return (Message("system", "You are kind."), Message("user", " ".join(f"{i} rains" for i in range(words))))


def alone(tiny: Loaded, messages: Sequence[Message], params: Params = GREEDY) -> tuple[int, ...]:
    return tuple(reference(tiny.model, ChatTokenizer(tiny.tokenizer).encode(messages), params))


@pytest.fixture(scope="session", params=["llama", "recurrent"])
def architecture(request: pytest.FixtureRequest) -> str:
    """Keys and values, or a state."""
    name: str = request.param
    return name


@pytest.fixture(scope="session")
def either(architecture: str, tiny: Loaded, tiny_recurrent: Loaded) -> Loaded:
    return tiny if architecture == "llama" else tiny_recurrent


@pytest.fixture(scope="session")
def large(architecture: str) -> Loaded:
    return loaded(byte_level(every_byte=False), context=4096, architecture=architecture)


@pytest.mark.parametrize("chunk", [1, 5, 256])
@pytest.mark.parametrize("penalty", [1.0, 1.3])
async def test_greedy_tokens_are_those_of_transformers_generate(
    either: Loaded, chunk: int, penalty: float
) -> None:
    engine = LocalEngine(either, settings(prefill_budget=chunk))
    params = replace(GREEDY, repetition_penalty=penalty)
    async with running(engine):
        answer = await ask(engine, question(9), params)
    assert answer.token_ids == alone(either, question(9), params)
    assert len(answer.token_ids) > 5
    assert answer.text == either.tokenizer.decode(list(answer.token_ids))
    assert len(answer.pieces) > 5, "it streams"


async def test_many_at_once_of_mixed_lengths_get_what_they_get_alone(large: Loaded) -> None:
    engine = LocalEngine(large, settings(max_running=4, prefill_budget=16))
    async with running(engine), asyncio.TaskGroup() as group:
        asked = [group.create_task(ask(engine, question(n), GREEDY)) for n in LENGTHS]
    assert [task.result().token_ids for task in asked] == [alone(large, question(n)) for n in LENGTHS]


async def test_late_arrivals_and_cancellations_change_nothing_for_the_others(large: Loaded) -> None:
    engine = LocalEngine(large, settings(max_running=3, prefill_budget=16))
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


async def test_a_cancelled_one_gives_its_place_to_the_next(either: Loaded) -> None:
    engine = LocalEngine(either, settings(max_running=1))
    async with running(engine), asyncio.TaskGroup() as group:
        async with engine.generate(question(5), replace(GREEDY, max_tokens=400)) as deltas:
            await anext(deltas)
            waiting = group.create_task(ask(engine, question(2), GREEDY))
        assert (await waiting).token_ids == alone(either, question(2))


async def test_a_cancelled_reader_leaves_at_once(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings(max_running=1))
    async with asyncio.TaskGroup() as group:  # nothing runs: whoever asks waits
        asking = group.create_task(ask(engine, question(2), GREEDY))
        await asyncio.sleep(0)
        asking.cancel()
    assert asking.cancelled()
    async with running(engine):
        assert (await ask(engine, question(2), GREEDY)).token_ids == alone(tiny, question(2))


async def test_a_full_waiting_line_refuses_and_forgets(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings(max_running=1, max_waiting=1))
    async with engine.generate(question(1), GREEDY), engine.generate(question(1), GREEDY):
        with pytest.raises(Overloaded):
            await ask(engine, question(1), GREEDY)
    async with running(engine):
        assert (await ask(engine, question(1), GREEDY)).finish[-1]


async def test_a_completion_ends_at_max_tokens_and_at_the_end_of_the_context(either: Loaded) -> None:
    engine = LocalEngine(replace(either, end_of_turn=frozenset()), settings())
    async with running(engine):
        short = await ask(engine, question(3), replace(GREEDY, max_tokens=4))
        room = engine.context - engine.count(question(20))
        whole = await ask(engine, question(20), replace(GREEDY, max_tokens=10_000))
    assert (len(short.token_ids), short.finish[-1]) == (4, "length")
    assert (len(whole.token_ids), whole.finish[-1]) == (room, "length")


async def test_a_prompt_that_fills_the_context_is_refused(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    for text in ("1 2 " * 400, "🦊" * 100_000):
        assert engine.count((Message("user", text),)) >= engine.context
        with pytest.raises(PromptTooLong):
            await ask(engine, text, GREEDY)


async def test_an_empty_prompt_is_refused(tiny: Loaded) -> None:
    with pytest.raises(InvalidParams):
        await ask(LocalEngine(tiny, settings()), (), GREEDY)


async def test_the_end_of_turn_is_no_text(tiny: Loaded) -> None:
    prompt = ChatTokenizer(tiny.tokenizer).encode(question(3))
    third = reference(tiny.model, prompt, GREEDY)[3]
    engine = LocalEngine(replace(tiny, end_of_turn=frozenset({third})), settings())
    async with running(engine):
        answer = await ask(engine, question(3), GREEDY)
    expected = alone(tiny, question(3))
    assert answer.token_ids == expected[: expected.index(third)]
    assert answer.finish[-1] == "stop"


async def test_a_stop_string_ends_the_text_before_it(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    async with running(engine):
        whole = (await ask(engine, question(3), GREEDY)).text
        stop = whole[6:9]
        answer = await ask(engine, question(3), replace(GREEDY, stop=(stop,)))
        again = await ask(engine, question(3), GREEDY)
    assert answer.text == whole[: whole.index(stop)]
    assert answer.finish[-1] == "stop"
    assert whole.startswith(ChatTokenizer(tiny.tokenizer).decode(answer.token_ids))
    assert again.text == whole


async def test_an_answer_that_was_cut_is_gone_on_with(either: Loaded) -> None:
    engine = LocalEngine(either, settings())
    async with running(engine):
        whole = await ask(engine, question(3), GREEDY)
        cut = await ask(engine, question(3), replace(GREEDY, max_tokens=9))
        so_far = Message("assistant", cut.text, cut.token_ids, engine.fingerprint)
        rest = await ask(engine, (*question(3), so_far), replace(GREEDY, max_tokens=15))
    assert cut.token_ids + rest.token_ids == whole.token_ids
    assert cut.text + rest.text == whole.text


async def test_a_seed_makes_an_answer_repeatable(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    warm = Params(max_tokens=20, temperature=1.0, top_p=1.0, seed=5)
    async with running(engine):
        one, two = await ask(engine, question(3), warm), await ask(engine, question(3), warm)
        other = await ask(engine, question(3), replace(warm, seed=6))
    assert one.token_ids == two.token_ids != other.token_ids


async def test_one_that_fails_in_the_model_takes_nobody_with_it(
    architecture: str, caplog: pytest.LogCaptureFixture
) -> None:
    tokenizer = byte_level(every_byte=False)
    tokenizer.add_tokens(["qqq"])  # a token that the model has no row for
    broken = loaded(tokenizer, vocabulary=len(tokenizer) - 1, architecture=architecture)
    engine = LocalEngine(broken, settings())
    secret = "qqq and a secret"
    async with running(engine), asyncio.TaskGroup() as group:
        good = group.create_task(ask(engine, question(4), GREEDY))
        with pytest.raises(EngineError) as raised, caplog.at_level(logging.ERROR):
            await ask(engine, secret, GREEDY)
        assert (await good).token_ids == alone(broken, question(4))
    assert type(raised.value) is EngineError
    assert "secret" not in f"{raised.value} {caplog.text}"


async def test_who_waits_when_the_engine_stops_is_told_so(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings(max_running=1))
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
    engine = LocalEngine(tiny, settings())
    async with running(engine):
        before = await ask(engine, question(3), GREEDY)
    async with running(engine), asyncio.timeout(20):
        await asyncio.sleep(0)
        assert await ask(engine, question(3), GREEDY) == before


async def test_the_count_is_the_prompts_length(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    assert engine.count(question(9)) == len(ChatTokenizer(tiny.tokenizer).encode(question(9)))


async def test_candidates_share_the_prompt_and_are_each_their_own(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings(max_running=2))
    warm = Params(max_tokens=12, temperature=1.0, top_p=1.0, seed=3, candidates=4)
    async with running(engine):
        same = await candidates(engine, question(30), replace(GREEDY, candidates=4))
        different = await candidates(engine, question(30), warm)
        again = await candidates(engine, question(30), warm)
    assert set(map(tuple, same.values())) == {alone(tiny, question(30))}
    assert different == again
    assert len(set(map(tuple, different.values()))) > 1


async def test_candidates_after_the_first_find_the_prompt_in_the_cache(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    cached = {}
    async with running(engine), engine.generate(question(30), replace(GREEDY, candidates=3)) as deltas:
        async for delta in deltas:
            if delta.usage is not None:
                cached[delta.candidate] = delta.usage.prompt - delta.usage.cached
    assert cached.pop(0) == engine.count(question(30))
    assert cached == {1: 1, 2: 1}


async def test_log_probabilities_are_the_models_own(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    prompt = ChatTokenizer(tiny.tokenizer).encode(question(5))
    params = Params(max_tokens=6, temperature=0.7, seed=1, logprobs=3)
    told: list[Logprob] = []
    async with running(engine), engine.generate(question(5), params) as deltas:
        async for delta in deltas:
            told += delta.logprobs
    assert told
    ids = torch.tensor([[*prompt, *(one.token_id for one in told)]])
    own = copy.deepcopy(tiny.model)
    own.set_attn_implementation("eager")
    with torch.inference_mode():
        rows: torch.Tensor = own(ids).logits[0, len(prompt) - 1 :].log_softmax(-1)
    for one, row in zip(told, rows, strict=False):
        assert one.logprob == pytest.approx(float(row[one.token_id]), abs=1e-5)
        best = row.topk(3)
        assert [token_id for token_id, _ in one.top] == best.indices.tolist()
        assert [logprob for _, logprob in one.top] == pytest.approx(best.values.tolist(), abs=1e-5)


async def test_who_waits_is_told_the_place_and_a_time(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings(max_running=1))
    async with running(engine):
        await ask(engine, question(2), GREEDY)
        long = replace(GREEDY, max_tokens=300)
        async with engine.generate(question(2), long) as first, engine.generate(question(3), GREEDY) as second:
            async with engine.generate(question(4), GREEDY) as third:
                await anext(first)
                assert (first.place_in_line, second.place_in_line, third.place_in_line) == (0, 1, 2)
                assert first.estimate == 0.0
                assert second.estimate is not None
                assert third.estimate is not None
                assert 0 < second.estimate < third.estimate
            await anext(second)
            assert (second.place_in_line, second.estimate) == (0, 0.0)


async def test_numbers_that_are_none_end_one_reply_and_spread_to_nobody(
    architecture: str, caplog: pytest.LogCaptureFixture
) -> None:
    broken = loaded(byte_level(every_byte=False), architecture=architecture)
    chat = ChatTokenizer(broken.tokenizer)
    expected = {n: alone(broken, question(n)) for n in (3, 4, 5, 6, 7)}
    seen = {token for n, said in expected.items() for token in (*chat.encode(question(n)), *said)}
    letter = next(letter for letter in "9TPcfmpuw" if seen.isdisjoint(chat.encode_text(letter)))
    embedding: Any = broken.model.get_input_embeddings()
    embedding.weight.data[list(chat.encode_text(letter))] = torch.nan
    engine = LocalEngine(broken, settings(max_running=3))
    async with running(engine), asyncio.TaskGroup() as group:
        good = [group.create_task(ask(engine, question(n), GREEDY)) for n in (3, 4)]
        with pytest.raises(EngineError), caplog.at_level(logging.CRITICAL):
            await ask(engine, letter, GREEDY)
        good += [group.create_task(ask(engine, question(n), GREEDY)) for n in (5, 6, 7)]
    assert [task.result().token_ids for task in good] == list(expected.values())


async def test_a_reply_that_was_left_in_a_step_that_fails_spoils_nothing_in_the_cache() -> None:
    mortal = loaded(byte_level(every_byte=False))
    expected = alone(mortal, question(12))
    under_way, go_on = threading.Event(), threading.Event()
    steps = iter(["runs"] * 6 + ["waits", "fails"])  # when the whole batch fails, each is tried alone

    def fail(*_: Any) -> None:
        if (step := next(steps, "runs")) == "waits":
            under_way.set()
            go_on.wait(20)
        if step != "runs":
            raise RuntimeError("out of memory")

    engine = LocalEngine(mortal, settings())
    mortal.model.register_forward_pre_hook(fail)
    async with running(engine):
        async with engine.generate(question(12), GREEDY) as left:
            await anext(left)
            await asyncio.to_thread(under_way.wait, 20)
        go_on.set()
        again = await ask(engine, question(12), GREEDY)
    assert again.token_ids == expected
    assert again.usage is not None
    assert again.usage.cached > 0


async def test_a_prompt_of_no_numbers_that_was_left_half_read_spreads_to_nobody() -> None:
    broken = loaded(byte_level(every_byte=False))
    chat = ChatTokenizer(broken.tokenizer)
    expected = alone(broken, question(3))
    seen = {*chat.encode(question(3)), *expected}
    letter = next(letter for letter in "9TPcfmpuw" if seen.isdisjoint(chat.encode_text(letter)))
    embedding: Any = broken.model.get_input_embeddings()
    embedding.weight.data[list(chat.encode_text(letter))] = torch.nan
    engine = LocalEngine(broken, settings(max_running=1, prefill_budget=16))
    half_read = asyncio.Event()
    loop = asyncio.get_running_loop()
    steps = iter(range(100))

    def count(*_: Any) -> None:
        if next(steps) == 4:
            loop.call_soon_threadsafe(half_read.set)

    broken.model.register_forward_pre_hook(count)
    async with running(engine):
        async with engine.generate((Message("user", letter * 300),), GREEDY):
            await half_read.wait()
        assert (await ask(engine, question(3), GREEDY)).token_ids == expected


async def test_a_run_that_is_cancelled_at_once_leaves_nobody_waiting(tiny: Loaded) -> None:
    engine = LocalEngine(tiny, settings())
    async with running(engine):
        await ask(engine, question(2), GREEDY)
    async with running(engine):
        await asyncio.sleep(0)  # it waits for the last thread, and is cancelled there
    with pytest.raises(EngineStopped):
        await ask(engine, question(2), GREEDY)


async def test_a_step_that_would_end_its_thread_fails_who_has_begun_and_the_engine_serves_on() -> None:
    mortal = loaded(byte_level(every_byte=False))
    deadly = iter([False, False, True])

    def die(*_: Any) -> None:
        if next(deadly, False):
            raise SystemExit

    engine = LocalEngine(mortal, settings(max_running=1))
    expected = alone(mortal, question(4))
    mortal.model.register_forward_pre_hook(die)
    async with running(engine), asyncio.TaskGroup() as group:
        begun = group.create_task(failure(engine, question(3)))
        await asyncio.sleep(0)
        waiting = group.create_task(ask(engine, question(4), GREEDY))
    assert type(begun.result()) is EngineError
    assert waiting.result().token_ids == expected


async def test_nothing_is_left_behind(either: Loaded) -> None:
    before = threading.active_count()
    engine = LocalEngine(either, settings(max_running=3, max_waiting=6))
    async with running(engine):
        for round_ in range(3):
            async with asyncio.TaskGroup() as group:
                asked = [group.create_task(failure(engine, question(n))) for n in range(1, 15)]
                await ask(engine, question(1), replace(GREEDY, max_tokens=2 + round_))
                for task in asked[::3]:
                    task.cancel()
        places: Any = engine._scheduler._places
        assert (engine._scheduler.running, engine._scheduler.waiting, engine._requests) == (0, 0, {})
        assert places.slots_in_use == 0
    thread = engine._last_thread
    assert thread is not None
    await asyncio.to_thread(thread.shutdown)
    assert threading.active_count() <= before + 1, "the thread that waited for the model's is a pool's"


async def failure(engine: LocalEngine, messages: Sequence[Message]) -> Exception | None:
    try:
        await ask(engine, messages, GREEDY)
    except CoreError as error:
        return error
    return None


async def candidates(engine: LocalEngine, messages: Sequence[Message], params: Params) -> dict[int, list[int]]:
    """The tokens of each."""
    said: dict[int, list[int]] = defaultdict(list)
    async with engine.generate(messages, params) as deltas:
        async for delta in deltas:
            said[delta.candidate] += delta.token_ids
    return dict(sorted(said.items()))


class Doing(NamedTuple):
    """One request of a history: its length, after how many steps of the loop it comes, and after how many of its
    deltas it leaves."""

    words: int
    after: int
    leaves: int | None


DOINGS = st.builds(Doing, st.sampled_from([1, 3, 8, 40, 90]), st.integers(0, 30), st.none() | st.integers(0, 12))


@given(
    st.lists(DOINGS, min_size=1, max_size=10), st.integers(1, 5), st.sampled_from([3, 17, 256]), st.integers(0, 3)
)
@hypothesis.settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_happens_around_it_each_gets_what_it_gets_alone(
    large: Loaded, doings: list[Doing], seats: int, budget: int, drafts: int
) -> None:
    """Few large slots, so that some are suspended, and few prompts, so that some are found in the cache."""
    scheduler = SchedulerSettings(max_running=seats, prefill_budget=budget, drafts=drafts, draft_running=seats)
    engine = LocalEngine(large, LocalSettings(kv_cache_gb=0.006, scheduler=scheduler))
    params = replace(GREEDY, max_tokens=40)

    async def one(doing: Doing) -> None:
        for _ in range(doing.after):
            await asyncio.sleep(0)
        said: list[int] = []
        async with engine.generate(question(doing.words), params, Caller(str(doing.words))) as deltas:
            read = 0
            async for delta in deltas:
                said += delta.token_ids
                read += 1
                if read == doing.leaves:
                    break
        expected = list(_alone(large, doing.words, params))
        assert said == expected[: len(said)]
        assert doing.leaves is not None or said == expected

    async def history() -> None:
        async with running(engine), asyncio.timeout(50), asyncio.TaskGroup() as group:
            for doing in doings:
                group.create_task(one(doing))

    asyncio.run(history())


_KNOWN: dict[tuple[str, int], tuple[int, ...]] = {}


def _alone(large: Loaded, words: int, params: Params) -> tuple[int, ...]:
    key = large.model.config.model_type, words
    if key not in _KNOWN:
        _KNOWN[key] = alone(large, question(words), params)
    return _KNOWN[key]
