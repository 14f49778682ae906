import asyncio
import logging
import traceback

import pytest

from core.engine.engine import Message, Params
from core.engine.remote import RemoteEngine, RemoteSettings
from core.errors import CoreError, EngineError, EngineStopped, Overloaded, PromptTooLong
from tests.core.engine.openai_server import Behaviour, OpenAIServer
from tests.core.engine.tiny import ask, byte_level, running

SECRET = "the words of a person"


def engine(server: OpenAIServer, **settings: object) -> RemoteEngine:
    chosen = {"url": server.url, "model": server.model, "api_key": server.key, **settings}
    return RemoteEngine(RemoteSettings(**chosen))  # type: ignore[arg-type]


async def test_an_answer_streams_and_says_why_it_ended(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    async with running(made):
        answer = await ask(made, "hello  there", Params())
        assert answer.pieces == ("You ", "said: ", "hello  ", "there", "")
        assert answer.finish == ("", "", "", "", "stop")
        cut = await ask(made, "hello there", Params(max_tokens=3))
        assert (cut.text, cut.finish[-1]) == ("You said: hello ", "length")


async def test_only_what_was_chosen_is_sent(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    chat = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v"))
    async with running(made):
        await ask(made, chat, Params(max_tokens=7, temperature=0.5, top_p=0.8))
        await ask(made, "u", Params(seed=3, stop=("x",), top_k=4, repetition_penalty=1.1))
    plain, rich = openai_server.bodies
    assert [(m["role"], m["content"]) for m in plain.pop("messages")] == [(m.role, m.text) for m in chat]
    assert plain == {
        "model": "loopback",
        "max_tokens": 7,
        "temperature": 0.5,
        "top_p": 0.8,
        "stream": True,
        "stream_options": {"include_usage": True},
    }
    assert (rich["seed"], rich["stop"], rich["top_k"], rich["repetition_penalty"]) == (3, ["x"], 4, 1.1)


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("429", Overloaded),
        ("too long", PromptTooLong),
        ("too long for vLLM", PromptTooLong),
        ("500", EngineError),
        ("401", EngineError),
        ("drop", EngineError),
        ("cut", EngineError),
        ("error in the stream", EngineError),
        ("page", EngineError),
    ],
)
async def test_each_failure_has_its_name_and_tells_nothing_private(
    openai_server: OpenAIServer, behaviour: Behaviour, error: type[CoreError]
) -> None:
    openai_server.behaviour = behaviour
    made = engine(openai_server)
    async with running(made):
        with pytest.raises(error) as raised:
            await ask(made, SECRET, Params())
        assert type(raised.value) is error
        told = "".join(traceback.format_exception(raised.value))
        assert SECRET not in told
        assert openai_server.key not in told
        openai_server.behaviour = "answer"
        assert (await ask(made, "again", Params())).text == "You said: again"


async def test_what_came_before_a_cut_was_said(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "cut"
    made = engine(openai_server)
    said = []
    async with running(made):
        with pytest.raises(EngineError):
            async with made.generate((Message("user", "hello"),), Params()) as deltas:
                async for delta in deltas:
                    said.append(delta.text)  # noqa: PERF401 the list must survive the error
    assert said == ["You ", "said: "]


async def test_a_server_that_is_not_there_is_one_clear_error() -> None:
    made = RemoteEngine(RemoteSettings(url="http://127.0.0.1:9/v1", model="m"))
    async with running(made):
        with pytest.raises(EngineError, match="cannot be reached"):
            await ask(made, "hello", Params())


async def test_a_silent_server_is_given_up(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "silent"
    made = engine(openai_server, read_timeout=0.05)
    async with running(made):
        with pytest.raises(EngineError):
            await ask(made, "hello", Params())


async def test_leaving_closes_the_connection(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "silent"
    made = engine(openai_server)
    async with running(made):
        async with made.generate((Message("user", "hello"),), Params()) as deltas:
            assert (await anext(deltas)).text == "You "
        await openai_server.left.wait()


async def test_cancelling_closes_the_connection(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "silent"
    made = engine(openai_server)
    async with running(made), asyncio.TaskGroup() as group:
        asking = group.create_task(ask(made, "hello", Params()))
        await openai_server.asked.wait()
        asking.cancel()
        await openai_server.left.wait()


async def test_stopping_ends_a_request_that_waits_for_the_server(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "silent"
    made = engine(openai_server)
    async with asyncio.TaskGroup() as group:
        async with running(made):
            asking = group.create_task(_stopped(made))
            await openai_server.asked.wait()
        assert await asking
        await openai_server.left.wait()


async def _stopped(made: RemoteEngine) -> bool:
    with pytest.raises(EngineStopped):
        await ask(made, "hello", Params())
    return True


async def test_too_many_at_once_are_refused(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "silent"
    made = engine(openai_server, max_running=1)
    async with running(made):
        async with made.generate((Message("user", "hello"),), Params()):
            with pytest.raises(Overloaded):
                await ask(made, "me too", Params())
        openai_server.behaviour = "answer"
        assert (await ask(made, "now", Params())).text == "You said: now"


@pytest.mark.parametrize("text", ["hello there", "🦊" * 9, "你好，世界", "a1b2c3!?", ""])
def test_the_count_is_an_upper_bound(text: str) -> None:
    chat = [Message("system", "Be kind."), Message("user", text)]
    made = RemoteEngine(RemoteSettings(url="http://127.0.0.1:9/v1", model="m"))
    real = byte_level().apply_chat_template(
        [{"role": message.role, "content": message.text} for message in chat],
        add_generation_prompt=True,
        return_dict=False,
    )
    assert made.count(chat) >= len(real)


def test_the_key_is_in_no_text(openai_server: OpenAIServer, caplog: pytest.LogCaptureFixture) -> None:
    settings = RemoteSettings(url="http://127.0.0.1:9/v1", model="m", api_key="sk-secret")
    with caplog.at_level(logging.DEBUG):
        made = RemoteEngine(settings)
    assert "sk-secret" not in f"{settings!r} {made!r} {caplog.text}"
