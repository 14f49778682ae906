import asyncio
import logging
import traceback
from dataclasses import replace

import pytest

from core.engine.engine import Delta, Message, Params, Picture, Usage
from core.engine.remote import RemoteEngine, RemoteSettings
from core.errors import CoreError, EngineError, EngineStopped, InvalidParams, Overloaded, PromptTooLong
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


async def test_the_last_delta_has_what_it_took(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    async with running(made), made.generate((Message("user", "hello"),), Params()) as deltas:
        *before, last = [delta async for delta in deltas]
    assert not any(delta.usage for delta in before)
    assert last == Delta("", finish="stop", usage=Usage(prompt=9, cached=4, completion=3))


async def test_pictures_are_parts_beside_the_words(openai_server: OpenAIServer) -> None:
    made = engine(openai_server, sees=True)
    words = Message("user", "what is it?", preface="Ann: ")
    asked = replace(words, pictures=(Picture(b"\x89PNG", "image/png"), Picture(b"GIF89a", "image/gif")))
    async with running(made), made.generate((asked,), Params()) as deltas:
        assert "".join([delta.text async for delta in deltas]) == "You said: Ann: what is it?"
    [message] = openai_server.bodies[0]["messages"]
    assert message["content"] == [
        {"type": "text", "text": "Ann: what is it?"},
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}},
        {"type": "image_url", "image_url": {"url": "data:image/gif;base64,R0lGODlh"}},
    ]
    assert made.count((asked,)) - made.count((words,)) == 1600, "and not so many as they have letters in base64"


async def test_pictures_are_passed_over_by_a_model_that_does_not_see(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    words = Message("user", "what is it?")
    asked = replace(words, pictures=(Picture(b"GIF89a", "image/gif"),))
    async with running(made), made.generate((asked,), Params()) as deltas:
        assert "".join([delta.text async for delta in deltas]) == "You said: what is it?"
    assert made.count((asked,)) == made.count((words,))


@pytest.mark.parametrize("behaviour", ["no usage", "no end"])
async def test_an_answer_is_whole_without_what_it_took(openai_server: OpenAIServer, behaviour: Behaviour) -> None:
    openai_server.behaviour = behaviour
    made = engine(openai_server)
    async with running(made), made.generate((Message("user", "hello"),), Params()) as deltas:
        told = [delta async for delta in deltas]
    assert ("".join(delta.text for delta in told), told[-1]) == ("You said: hello", Delta("", finish="stop"))


async def test_candidates_come_side_by_side(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    async with running(made), made.generate((Message("user", "hello"),), Params(candidates=2)) as deltas:
        told = [delta async for delta in deltas]
    for candidate in range(2):
        own = [delta for delta in told if delta.candidate == candidate]
        assert [delta.text for delta in own] == ["You ", "said: ", "hello", ""]
        assert [delta.finish for delta in own] == ["", "", "", "stop"]
    assert [delta.usage for delta in told if delta.finish] == [None, Usage(prompt=9, cached=4, completion=6)]


async def test_log_probabilities_name_equal_tokens_equally(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    async with running(made), made.generate((Message("user", "go go "),), Params(logprobs=2)) as deltas:
        told = [delta.logprobs async for delta in deltas if delta.logprobs]
    (you,), (said,), (go,), (again,) = told
    assert (openai_server.bodies[0]["logprobs"], openai_server.bodies[0]["top_logprobs"]) == (True, 2)
    assert (go, you.logprob, [logprob for _, logprob in you.top]) == (again, -0.25, [-0.25, -2.5])
    assert you.token_id == you.top[0][0] != said.token_id
    assert you.top[1] == said.top[1]
    assert all(number < 0 for (logprob,) in told for number in (logprob.token_id, *dict(logprob.top)))


async def test_a_plain_text_is_gone_on_with(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    asked = (Message("plain", "once upon a"),)
    async with running(made), made.generate(asked, Params(max_tokens=4, candidates=2, logprobs=2)) as deltas:
        told = [delta async for delta in deltas]
        spelled = [deltas.spell(delta.logprobs[0].token_id) for delta in told if delta.logprobs]
    own = [delta for delta in told if delta.candidate == 1]
    assert "".join(delta.text for delta in own) == "You said: once upon "
    assert b"".join(spelled[1::2]).decode() == "You said: once upon "
    assert own[-1].finish == "length"
    assert [logprob for _, logprob in own[0].logprobs[0].top] == [-0.25, -2.5]
    assert told[-1].usage == Usage(prompt=9, cached=0, completion=8)
    assert openai_server.bodies[0]["prompt"] == "once upon a"


async def test_a_server_that_completes_chats_only_is_told_of(openai_server: OpenAIServer) -> None:
    openai_server.completes_texts = False
    made = engine(openai_server)
    async with running(made):
        with pytest.raises(InvalidParams, match="chats only"):
            await ask(made, (Message("plain", "once"),), Params())
        assert (await ask(made, "hello", Params())).text == "You said: hello"


async def test_a_completion_stands_in_line_until_its_first_word(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "hold"
    made = engine(openai_server)
    async with running(made), made.generate((Message("user", "hello"),), Params()) as deltas:
        assert (deltas.place_in_line, deltas.estimate) == (1, None)
        openai_server.go.set()
        await anext(deltas)
        assert (deltas.place_in_line, deltas.estimate) == (0, 0.0)


async def test_an_answer_that_was_read_leaves_its_connection_to_the_next(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    async with running(made):
        for _ in range(3):
            await ask(made, "hello", Params())
    assert (len(openai_server.bodies), len(openai_server.connections)) == (3, 1)


async def test_only_what_was_chosen_is_sent(openai_server: OpenAIServer) -> None:
    made = engine(openai_server)
    chat = (Message("system", "s"), Message("user", "u"), Message("assistant", "a"), Message("user", "v"))
    async with running(made):
        await ask(made, chat, Params(max_tokens=7, temperature=0.5, top_p=0.8))
        await ask(made, "u", Params(seed=3, stop=("x",), top_k=4, min_p=0.1, repetition_penalty=1.1))
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
    assert (rich["seed"], rich["stop"]) == (3, ["x"])
    assert (rich["top_k"], rich["min_p"], rich["repetition_penalty"]) == (4, 0.1, 1.1)


async def test_a_server_is_asked_without_what_it_does_not_take(
    openai_server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    openai_server.not_taken = {"max_tokens", "temperature", "top_k", "repetition_penalty"}
    made = engine(openai_server)
    async with running(made):
        cut = await ask(made, "hello there", Params(max_tokens=3, top_k=4, repetition_penalty=1.1, seed=5))
        assert (cut.text, cut.finish[-1]) == ("You said: hello ", "length")
        assert {"seed", "top_p", "max_completion_tokens"} < set(openai_server.bodies[-1])
        openai_server.bodies.clear()
        await ask(made, "hello there", Params(max_tokens=3, top_k=4))
    assert len(openai_server.bodies) == 1, "what was learnt is remembered"
    assert "max_tokens, repetition_penalty, temperature, top_k" in caplog.text


async def test_what_an_answer_depends_on_is_never_left_out(openai_server: OpenAIServer) -> None:
    openai_server.not_taken = {"stop"}
    made = engine(openai_server)
    async with running(made):
        with pytest.raises(EngineError, match="400"):
            await ask(made, "hello", Params(stop=("x",)))
    assert len(openai_server.bodies) == 1


@pytest.mark.parametrize(
    ("behaviour", "error"),
    [
        ("429", Overloaded),
        ("503", Overloaded),
        ("quota", EngineError),
        ("too long", PromptTooLong),
        ("too long for vLLM", PromptTooLong),
        ("500", EngineError),
        ("401", EngineError),
        ("drop", EngineError),
        ("cut", EngineError),
        ("cut at once", EngineError),
        ("abort", EngineError),
        ("error in the stream", EngineError),
        ("nonsense", EngineError),
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


@pytest.mark.parametrize("first", [["500", "503"], ["429", "drop"], ["drop", "500"]])
async def test_what_fails_before_an_answer_began_is_asked_again(
    openai_server: OpenAIServer, first: list[Behaviour]
) -> None:
    openai_server.first = first
    made = engine(openai_server)
    async with running(made):
        assert (await ask(made, "hello", Params())).text == "You said: hello"
    assert len(openai_server.bodies) == 3


async def test_asking_again_has_an_end(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "500"
    made = engine(openai_server, retries=3)
    async with running(made):
        with pytest.raises(EngineError, match="500"):
            await ask(made, "hello", Params())
    assert len(openai_server.bodies) == 4


@pytest.mark.parametrize("behaviour", ["cut", "cut at once", "abort", "error in the stream", "nonsense", "page"])
async def test_nothing_is_asked_again_once_an_answer_began(
    openai_server: OpenAIServer, behaviour: Behaviour
) -> None:
    openai_server.behaviour = behaviour
    made = engine(openai_server)
    async with running(made):
        with pytest.raises(EngineError):
            await ask(made, "hello", Params())
    assert len(openai_server.bodies) == 1


@pytest.mark.parametrize("pause", ["90", "Fri, 31 Dec 2100 23:59:59 GMT"])
async def test_a_server_that_asks_for_a_long_pause_is_left_alone(openai_server: OpenAIServer, pause: str) -> None:
    openai_server.behaviour, openai_server.retry_after = "429", {"Retry-After": pause}
    made = engine(openai_server)
    async with running(made):
        with pytest.raises(Overloaded):
            await ask(made, "hello", Params())
    assert len(openai_server.bodies) == 1


@pytest.mark.parametrize("behaviour", ["mute", "hold", "silent"])
async def test_a_silent_server_is_given_up(openai_server: OpenAIServer, behaviour: Behaviour) -> None:
    openai_server.behaviour = behaviour
    timeouts = {"token_timeout": 0.05} if behaviour == "silent" else {"first_token_timeout": 0.05}
    made = engine(openai_server, **timeouts)
    async with running(made):
        with pytest.raises(EngineError, match="silent"):
            await ask(made, "hello", Params())
        if openai_server.bodies:  # a busy machine may have had no time to ask
            await openai_server.left.wait()
    assert len(openai_server.bodies) <= 1


async def test_a_server_that_makes_fewer_candidates_is_found_out(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "one candidate"
    made = engine(openai_server)
    async with running(made):
        with pytest.raises(EngineError):
            await ask(made, "hello", Params(candidates=2))


async def test_a_reader_that_was_cancelled_does_not_take_half_an_answer_for_a_whole_one(
    openai_server: OpenAIServer,
) -> None:
    openai_server.behaviour = "silent"
    made = engine(openai_server)
    async with running(made), made.generate((Message("user", "hello"),), Params()) as deltas:
        assert [(await anext(deltas)).text, (await anext(deltas)).text] == ["You ", "said: "]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0):
                await anext(deltas)
        with pytest.raises(EngineError):
            await anext(deltas)


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


async def test_neither_key_nor_words_are_in_any_log(
    openai_server: OpenAIServer, caplog: pytest.LogCaptureFixture
) -> None:
    openai_server.first = ["500", "drop"]
    openai_server.not_taken = {"top_p"}
    with caplog.at_level(logging.DEBUG):
        made = engine(openai_server)
        async with running(made):
            await ask(made, SECRET, Params())
    assert openai_server.key not in f"{made!r} {caplog.text}"
    assert SECRET not in caplog.text


def test_the_key_is_in_no_text() -> None:
    settings = RemoteSettings(url="http://127.0.0.1:9/v1", model="m", api_key="sk-secret")
    assert "sk-secret" not in f"{settings!r} {RemoteEngine(settings)!r}"
