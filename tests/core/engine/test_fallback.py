import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from core.engine.engine import Engine, Message, Params
from core.engine.fallback import FallbackEngine
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.remote import RemoteEngine, RemoteSettings
from core.engine.scripted import ScriptedEngine
from core.errors import CoreError, EngineError, EngineStopped, InvalidParams, Overloaded, PromptTooLong
from tests.core.engine.openai_server import Behaviour, OpenAIServer
from tests.core.engine.tiny import ask, running

HELLO = (Message("user", "hello"),)
LOCAL = LocalSettings(kv_cache_gb=0.01)
SAID = "You said: hello"


class Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
async def servers() -> AsyncIterator[tuple[OpenAIServer, OpenAIServer]]:
    async with OpenAIServer.serve() as first, OpenAIServer.serve() as second:
        yield first, second


def remote(server: OpenAIServer, **settings: object) -> RemoteEngine:
    chosen = {"url": server.url, "model": server.model, "api_key": server.key, "retries": 0, **settings}
    return RemoteEngine(RemoteSettings(**chosen))  # type: ignore[arg-type]


async def refused(engine: Engine) -> CoreError:
    with pytest.raises(CoreError) as raised:
        await ask(engine, HELLO, Params())
    return raised.value


def asked(*servers: OpenAIServer) -> list[int]:
    """How many requests each has seen since this was asked last."""
    seen = [len(server.bodies) for server in servers]
    for server in servers:
        server.bodies.clear()
    return seen


@pytest.mark.parametrize("behaviour", ["429", "500", "503", "401", "drop", "cut at once", "page"])
async def test_the_next_one_answers_when_one_fails_before_its_first_delta(
    servers: tuple[OpenAIServer, OpenAIServer], behaviour: Behaviour
) -> None:
    servers[0].behaviour = behaviour
    engine = FallbackEngine([remote(server) for server in servers])
    async with running(engine):
        answer = await ask(engine, HELLO, Params())
    assert (answer.text, asked(*servers)) == (SAID, [1, 1])


async def test_the_next_one_answers_when_one_does_not_begin(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    servers[0].behaviour = "hold"
    engine = FallbackEngine([remote(servers[0], first_token_timeout=0.1), remote(servers[1])])
    async with running(engine):
        assert (await ask(engine, HELLO, Params())).text == SAID


async def test_the_first_one_answers_as_long_as_it_can(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    engine = FallbackEngine([remote(server) for server in servers])
    async with running(engine):
        for _ in range(3):
            assert (await ask(engine, HELLO, Params())).text == SAID
    assert asked(*servers) == [3, 0]


@pytest.mark.parametrize("behaviour", ["cut", "abort", "error in the stream"])
async def test_half_an_answer_is_never_followed_by_another_one(
    servers: tuple[OpenAIServer, OpenAIServer], behaviour: Behaviour
) -> None:
    servers[0].behaviour = behaviour
    engine = FallbackEngine([remote(server) for server in servers])
    said = []
    async with running(engine), engine.generate(HELLO, Params()) as deltas:
        with pytest.raises(EngineError):
            async for delta in deltas:
                said.append(delta.text)  # noqa: PERF401 the list must survive the error
    assert (said, asked(*servers)) == (["You ", "said: "], [1, 0])


async def test_a_request_that_is_wrong_itself_goes_to_nobody_else(
    servers: tuple[OpenAIServer, OpenAIServer],
) -> None:
    servers[0].behaviour = "too long"
    engine = FallbackEngine([remote(server) for server in servers])
    async with running(engine):
        assert type(await refused(engine)) is PromptTooLong
        with pytest.raises(InvalidParams):
            await ask(engine, (), Params())
        servers[0].behaviour = "answer"
        await ask(engine, HELLO, Params())
    assert asked(*servers) == [2, 0]


async def test_all_have_failed_when_the_last_one_has(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    servers[0].behaviour, servers[1].behaviour = "500", "429"
    engine = FallbackEngine([remote(server) for server in servers])
    async with running(engine):
        assert type(await refused(engine)) is Overloaded
        assert asked(*servers) == [1, 1]
        servers[0].behaviour = "answer"
        assert (await ask(engine, HELLO, Params())).text == SAID, "nobody is refused while one was not asked"


async def test_one_that_failed_rests_longer_each_time(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    clock = Clock()
    engine = FallbackEngine([remote(server) for server in servers], clock=clock)
    servers[0].behaviour = "500"
    async with running(engine):
        for rest in (1, 2, 4, 8, 16, 32, 60, 60):
            await ask(engine, HELLO, Params())
            assert asked(*servers) == [1, 1], f"it is tried again before {rest} s"
            clock.now += rest - 0.01
            await ask(engine, HELLO, Params())
            assert asked(*servers) == [0, 1], f"it rests for {rest} s"
            clock.now += 0.01
        servers[0].behaviour = "answer"
        for _ in range(2):
            await ask(engine, HELLO, Params())
        assert asked(*servers) == [2, 0]
        servers[0].first = ["500"]
        await ask(engine, HELLO, Params())
        clock.now += 1
        await ask(engine, HELLO, Params())
        assert asked(*servers) == [2, 1], "its failures are forgiven once it has worked"


async def test_one_that_is_full_rests_for_a_moment_only(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    clock = Clock()
    engine = FallbackEngine([remote(server) for server in servers], clock=clock)
    servers[0].behaviour = "429"
    async with running(engine):
        for _ in range(5):
            await ask(engine, HELLO, Params())
            await ask(engine, HELLO, Params())
            clock.now += 1
    assert asked(*servers) == [5, 10]


async def test_one_request_finds_out_whether_it_works_again(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    clock = Clock()
    engine = FallbackEngine([remote(server) for server in servers], clock=clock)
    servers[0].first, servers[0].behaviour = ["500"], "hold"
    async with running(engine), asyncio.TaskGroup() as group:
        await ask(engine, HELLO, Params())
        clock.now += 1
        servers[0].asked.clear()
        probe = group.create_task(ask(engine, HELLO, Params()))
        await servers[0].asked.wait()
        await ask(engine, HELLO, Params())
        assert asked(*servers) == [2, 2]
        servers[0].go.set()
        assert (await probe).text == SAID
        await ask(engine, HELLO, Params())
        assert asked(*servers) == [1, 0]


async def test_requests_that_fail_together_are_one_failure(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    clock = Clock()
    engine = FallbackEngine([remote(server) for server in servers], clock=clock)
    servers[0].behaviour = "cut at once"
    async with running(engine), AsyncExitStack() as stack:
        answers = [await stack.enter_async_context(engine.generate(HELLO, Params())) for _ in range(5)]
        for answer in answers:
            await anext(answer)
        assert asked(*servers) == [5, 5]
        clock.now += 1
        await ask(engine, HELLO, Params())
        assert asked(*servers) == [1, 1]


async def test_a_cancelled_reader_leaves_the_one_that_was_asked(
    servers: tuple[OpenAIServer, OpenAIServer],
) -> None:
    servers[0].behaviour, servers[1].behaviour = "500", "hold"
    engine = FallbackEngine([remote(server) for server in servers])
    async with running(engine), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(engine, HELLO, Params()))
        await servers[1].asked.wait()
        asking.cancel()
        await servers[1].left.wait()


async def test_all_are_stopped_together(servers: tuple[OpenAIServer, OpenAIServer]) -> None:
    engine = FallbackEngine([ScriptedEngine(), remote(servers[1])])
    async with running(engine):
        await ask(engine, HELLO, Params())
    assert type(await refused(engine)) is EngineStopped
    assert asked(*servers) == [0, 0]


async def test_the_model_of_this_process_may_be_first(
    tiny: Loaded, servers: tuple[OpenAIServer, OpenAIServer], caplog: pytest.LogCaptureFixture
) -> None:
    local, far = LocalEngine(tiny, LOCAL), remote(servers[0])
    engine = FallbackEngine([local, far])
    assert (engine.name, engine.fingerprint, engine.continues) == (local.name, local.fingerprint, False)
    assert engine.context == min(local.context, far.context)
    assert engine.count(HELLO) == max(local.count(HELLO), far.count(HELLO))
    async with running(engine):
        assert (await ask(engine, HELLO, Params(max_tokens=3, temperature=0.0))).token_ids
    with caplog.at_level(logging.DEBUG):
        answer = await ask(FallbackEngine([local, ScriptedEngine()]), "some words", Params())
    assert answer.text == "You said: some words"
    assert "the engine tiny cannot answer" in caplog.text
    assert "some words" not in caplog.text


def test_two_tokenizers_have_no_fingerprint_in_common(tiny: Loaded) -> None:
    from tests.core.engine.tiny import byte_fallback, loaded

    one, other = LocalEngine(tiny, LOCAL), LocalEngine(loaded(byte_fallback()), LOCAL)
    assert one.fingerprint != other.fingerprint
    assert FallbackEngine([one, other]).fingerprint == ""
    assert FallbackEngine([one, one]).fingerprint == one.fingerprint
    assert FallbackEngine([one, other]).continues
