"""What every engine must do, whichever it is."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace

import pytest

from core.engine.engine import Caller, Engine, Message, Params
from core.engine.fallback import FallbackEngine
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.remote import RemoteEngine, RemoteSettings
from core.engine.scheduler import SchedulerSettings
from core.engine.scripted import ScriptedEngine
from core.errors import EngineStopped, InvalidParams
from tests.core.engine.openai_server import OpenAIServer
from tests.core.engine.tiny import ask, running

PARAMS = Params(max_tokens=12, temperature=0.0)
CHAT = (
    Message("system", "Be kind."),
    Message("user", "What is the capital of France, and why does it rain there?"),
)


@pytest.fixture(params=["local", "recurrent", "scripted", "remote", "fallback"])
async def engine(request: pytest.FixtureRequest, tiny: Loaded, tiny_recurrent: Loaded) -> AsyncIterator[Engine]:
    match request.param:
        case "local" | "recurrent":
            model = tiny if request.param == "local" else tiny_recurrent
            yield LocalEngine(model, LocalSettings(kv_cache_gb=0.01, scheduler=SchedulerSettings(max_running=2)))
        case "scripted":
            yield ScriptedEngine()
        case _:
            async with OpenAIServer.serve() as server:
                settings = RemoteSettings(url=server.url, model=server.model, api_key=server.key)
                if request.param == "remote":
                    yield RemoteEngine(settings)
                else:
                    wrong = replace(settings, api_key="sk-wrong")
                    yield FallbackEngine((RemoteEngine(wrong), RemoteEngine(settings)))


async def test_only_the_last_delta_says_why_it_ended(engine: Engine) -> None:
    async with running(engine):
        answer = await ask(engine, CHAT, PARAMS)
    assert answer.text
    assert answer.finish[-1] in {"stop", "length"}
    assert not any(answer.finish[:-1])
    assert all(answer.pieces[:-1]), "every delta but the last has text"


async def test_after_the_last_delta_there_is_none(engine: Engine) -> None:
    async with running(engine), engine.generate(CHAT, PARAMS) as deltas:
        assert [delta async for delta in deltas]
        assert [delta async for delta in deltas] == []


@pytest.mark.parametrize("candidates", [1, 3])
async def test_each_candidate_has_one_end(engine: Engine, candidates: int) -> None:
    params = replace(PARAMS, candidates=candidates)
    async with running(engine), engine.generate(CHAT, params, Caller("ann", "c1")) as deltas:
        told = [delta async for delta in deltas]
    assert {delta.candidate for delta in told} == set(range(candidates))
    for candidate in range(candidates):
        own = [delta for delta in told if delta.candidate == candidate]
        assert own[-1].finish
        assert not any(delta.finish for delta in own[:-1])
        assert all(delta.text for delta in own[:-1]), "every delta but the last has text"
        assert not any(delta.usage for delta in own[:-1])


async def test_the_last_delta_says_what_the_completion_took(engine: Engine) -> None:
    async with running(engine), engine.generate(CHAT, PARAMS) as deltas:
        usage = [delta async for delta in deltas][-1].usage
    assert usage is not None
    assert 0 <= usage.cached <= usage.prompt <= engine.count(CHAT)
    assert usage.completion > 0


async def test_nobody_is_in_line_once_the_first_delta_is_there(engine: Engine) -> None:
    async with running(engine), engine.generate(CHAT, PARAMS) as deltas:
        assert deltas.place_in_line >= 0
        assert deltas.estimate is None or deltas.estimate >= 0
        await anext(deltas)
        assert (deltas.place_in_line, deltas.estimate) == (0, 0.0)


async def test_log_probabilities_come_only_when_asked_for(engine: Engine) -> None:
    async with running(engine):
        async with engine.generate(CHAT, PARAMS) as deltas:
            assert not any([delta.logprobs async for delta in deltas])
        async with engine.generate(CHAT, replace(PARAMS, logprobs=2)) as deltas:
            told = [delta async for delta in deltas]
    logprobs = [logprob for delta in told for logprob in delta.logprobs]
    for logprob in logprobs:
        assert logprob.logprob <= 0
        assert [value for _, value in logprob.top] == sorted((value for _, value in logprob.top), reverse=True)
    if engine.fingerprint:
        assert [logprob.token_id for logprob in logprobs] == [
            number for delta in told for number in delta.token_ids
        ]
        assert all(len(logprob.top) == 2 for logprob in logprobs)


async def test_an_empty_prompt_is_refused(engine: Engine) -> None:
    async with running(engine):
        with pytest.raises(InvalidParams):
            await ask(engine, (), PARAMS)


async def test_the_same_question_gets_the_same_answer_beside_others(engine: Engine) -> None:
    async with running(engine):
        once = await ask(engine, CHAT, PARAMS)
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(ask(engine, CHAT, PARAMS)) for _ in range(5)]
    assert {task.result().text for task in tasks} == {once.text}


async def test_leaving_early_harms_nobody(engine: Engine) -> None:
    async with running(engine):
        once = await ask(engine, CHAT, PARAMS)
        for _ in range(5):
            async with engine.generate(CHAT, PARAMS) as deltas:
                await anext(deltas)
            async with engine.generate(CHAT, PARAMS):
                pass
        assert (await ask(engine, CHAT, PARAMS)).text == once.text


async def test_an_exception_in_the_readers_block_comes_out_as_it_is(engine: Engine) -> None:
    async with running(engine):
        with pytest.raises(ZeroDivisionError):
            async with engine.generate(CHAT, PARAMS):
                raise ZeroDivisionError
        assert (await ask(engine, CHAT, PARAMS)).text


async def test_a_cancelled_reader_is_cancelled(engine: Engine) -> None:
    begun = asyncio.Event()

    async def read() -> None:
        async with engine.generate(CHAT, PARAMS) as deltas:
            await anext(deltas)
            begun.set()
            await asyncio.get_running_loop().create_future()

    async with running(engine), asyncio.TaskGroup() as group:
        reading = group.create_task(read())
        await begun.wait()
        reading.cancel()
        await asyncio.wait([reading])
        assert reading.cancelled()
        assert (await ask(engine, CHAT, PARAMS)).text


async def test_a_stopped_engine_says_so(engine: Engine) -> None:
    async with running(engine):
        await ask(engine, CHAT, PARAMS)
    with pytest.raises(EngineStopped):
        await ask(engine, CHAT, PARAMS)


async def test_who_reads_when_it_stops_is_told_so(engine: Engine) -> None:
    stopping = running(engine)
    await stopping.__aenter__()
    async with engine.generate(CHAT, PARAMS) as deltas:
        await anext(deltas)
        await stopping.__aexit__(None, None, None)
        with pytest.raises(EngineStopped):
            async for _ in deltas:
                pass


def test_the_count_grows_with_the_text(engine: Engine) -> None:
    assert 0 < engine.count(CHAT[:1]) < engine.count(CHAT) <= engine.context
    longer = (*CHAT[:1], Message("user", CHAT[1].text + " And where?"))
    assert engine.count(longer) > engine.count(CHAT)


async def test_it_says_what_it_is(engine: Engine) -> None:
    assert engine.name
    assert isinstance(engine.continues, bool)
    if engine.fingerprint:
        async with running(engine):
            assert (await ask(engine, CHAT, PARAMS)).token_ids
