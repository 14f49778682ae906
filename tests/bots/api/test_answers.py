"""What OpenAI's own client is answered: by a scripted engine, by a small random model, and by the bundled one."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from bots.app import Plan
from bots.app import running as run_plan
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.engine.remote import RemoteEngine, RemoteSettings
from core.engine.scheduler import SchedulerSettings
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.bots.api.conftest import SERVED, client_of
from tests.core.engine.openai_server import OpenAIServer
from tests.core.engine.tiny import byte_level, loaded
from tests.core.store.steps import eventually
from tests.running import running

HI: Any = [{"role": "user", "content": "hi there"}]
GREEDY: Any = {"model": "default", "messages": HI, "temperature": 0, "max_tokens": 12}


async def test_chat_is_answered_whole_with_its_usage(client: openai.AsyncOpenAI) -> None:
    answer = await client.chat.completions.create(model="default", messages=HI)
    [choice] = answer.choices
    assert (choice.message.role, choice.message.content) == ("assistant", "You said: hi there")
    assert choice.finish_reason == "stop"
    assert answer.model == "default"
    assert answer.usage is not None
    assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens == 6


async def test_stream_is_the_same_answer_in_pieces(client: openai.AsyncOpenAI) -> None:
    stream = await client.chat.completions.create(
        model="default", messages=HI, n=2, stream=True, stream_options={"include_usage": True}
    )
    texts, ends, usage = ["", ""], [], None
    async for chunk in stream:
        for choice in chunk.choices:
            texts[choice.index] += choice.delta.content or ""
            if choice.finish_reason:
                ends.append((choice.index, choice.finish_reason))
        usage = chunk.usage
    assert texts == ["You said: hi there"] * 2
    assert sorted(ends) == [(0, "stop"), (1, "stop")]
    assert usage is not None
    assert usage.completion_tokens == 8


async def test_parts_developers_and_what_clients_send_back_are_understood(client: openai.AsyncOpenAI) -> None:
    first = await client.chat.completions.create(model="default", messages=HI)
    messages: Any = [
        {"role": "developer", "content": "Be kind."},
        *HI,
        first.choices[0].message.model_dump(),
        {"role": "user", "content": [{"type": "text", "text": "and"}, {"type": "text", "text": "now"}]},
    ]
    answer = await client.chat.completions.create(model="echo", messages=messages)
    assert answer.choices[0].message.content == "You said: and\nnow"


async def test_models_are_the_configured_one_and_the_personas(store: Store) -> None:
    plan = Plan(engine=ScriptedEngine(), adapters=(), address=SERVED, personas={"pirate": "Speak like a pirate."})
    async with run_plan(store, plan, lambda _line: None) as bot:
        await bot.listening.wait()
        async with client_of(bot) as client:
            assert [model.id async for model in client.models.list()] == ["default", "echo", "pirate"]
            assert (await client.models.retrieve("pirate")).id == "pirate"
            answer = await client.chat.completions.create(model="pirate", messages=HI)
            assert answer.usage is not None
            assert answer.usage.prompt_tokens == 4 + 2  # the persona is in front
            with pytest.raises(openai.NotFoundError):
                await client.models.retrieve("parrot")


async def test_plain_text_is_gone_on_with(client: openai.AsyncOpenAI) -> None:
    answer = await client.completions.create(model="default", prompt="once upon")
    assert answer.choices[0].text == "You said: once upon"
    stream = await client.completions.create(model="default", prompt=["once upon"], stream=True)
    assert "".join([chunk.choices[0].text async for chunk in stream]) == "You said: once upon"


async def test_seed_makes_an_answer_repeatable_and_choices_differ(model: openai.AsyncOpenAI) -> None:
    async def ask(seed: int) -> list[str | None]:
        answer = await model.chat.completions.create(
            model="tiny", messages=HI, n=2, seed=seed, temperature=1.5, top_p=1, max_completion_tokens=12
        )
        return [choice.message.content for choice in answer.choices]

    first, again, other = await ask(1), await ask(1), await ask(2)
    assert first == again
    assert len({*first, *other}) == 4


async def test_as_many_choices_as_openai_allows(model: openai.AsyncOpenAI, engine: LocalEngine) -> None:
    answer = await model.chat.completions.create(
        model="tiny", messages=HI, n=128, seed=1, temperature=1.5, top_p=1, max_completion_tokens=2
    )
    assert [choice.index for choice in answer.choices] == list(range(128))
    assert len({choice.message.content for choice in answer.choices}) > 64
    assert engine.load.running == engine.load.waiting == 0


async def test_more_choices_than_the_line_has_places_is_the_request_s_fault(store: Store) -> None:
    scheduler = SchedulerSettings(max_running=4, max_waiting=2)
    small = LocalEngine(loaded(byte_level(), context=512), LocalSettings(scheduler=scheduler))
    async with running(store=store, engine=small, address=SERVED) as bot, client_of(bot) as client:
        answer = await client.chat.completions.create(**{**GREEDY, "max_tokens": 1}, n=3)
        assert len(answer.choices) == 3
        with pytest.raises(openai.BadRequestError, match="at most 3 answers"):
            await client.chat.completions.create(**GREEDY, n=4)


async def test_plain_text_is_passed_on_to_a_server(store: Store, openai_server: OpenAIServer) -> None:
    remote = RemoteEngine(
        RemoteSettings(url=openai_server.url, model=openai_server.model, api_key=openai_server.key)
    )
    async with running(store=store, engine=remote, address=SERVED) as bot, client_of(bot) as client:
        answer = await client.completions.create(model="default", prompt="once", logprobs=1)
        assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("You said: once", "stop")
        assert answer.choices[0].logprobs is not None
        assert answer.choices[0].logprobs.tokens == ["You ", "said: ", "once"]
        openai_server.completes_texts = False
        with pytest.raises(openai.BadRequestError, match="completes chats only"):
            await client.completions.create(model="default", prompt="once")


async def test_stop_string_ends_the_answer_before_it(model: openai.AsyncOpenAI) -> None:
    whole = (await model.chat.completions.create(**GREEDY)).choices[0].message.content
    assert whole
    stop = whole[2:4]
    answer = await model.chat.completions.create(**GREEDY, stop=[stop])
    assert answer.choices[0].message.content == whole[: whole.index(stop)]
    assert answer.choices[0].finish_reason == "stop"


async def test_max_tokens_bound_the_answer_and_the_prompt_is_cached(model: openai.AsyncOpenAI) -> None:
    first = await model.chat.completions.create(**GREEDY)
    again = await model.chat.completions.create(**GREEDY)
    assert first.choices[0].finish_reason == "length"
    assert first.usage is not None
    assert again.usage is not None
    assert first.usage.completion_tokens == 12
    assert first.usage.prompt_tokens_details is not None
    assert again.usage.prompt_tokens_details is not None
    assert first.usage.prompt_tokens_details.cached_tokens == 0
    assert 0 < (again.usage.prompt_tokens_details.cached_tokens or 0) < again.usage.prompt_tokens


async def test_logprobs_spell_the_answer(model: openai.AsyncOpenAI) -> None:
    answer = await model.chat.completions.create(**GREEDY, logprobs=True, top_logprobs=3)
    told = answer.choices[0].logprobs
    assert told is not None
    assert told.content is not None
    spelled = b"".join(bytes(token.bytes or ()) for token in told.content)
    assert spelled.decode(errors="replace") == answer.choices[0].message.content
    for token in told.content:
        assert [top.logprob for top in token.top_logprobs] == sorted(
            (top.logprob for top in token.top_logprobs), reverse=True
        )
        assert token.top_logprobs[0].token == token.token  # greedy
    plain = await model.completions.create(model="tiny", prompt="once", logprobs=2, temperature=0, max_tokens=5)
    listed = plain.choices[0].logprobs
    assert listed is not None
    assert listed.tokens is not None
    assert listed.text_offset is not None
    assert listed.text_offset[0] == 0
    assert 0 < len(listed.tokens) == len(listed.text_offset) <= 5  # the last may be half a character
    streamed = await model.chat.completions.create(**GREEDY, logprobs=True, top_logprobs=3, stream=True)
    count = 0
    async for chunk in streamed:
        for choice in chunk.choices:
            count += len((choice.logprobs and choice.logprobs.content) or ())
    assert count == len(told.content)


async def test_closing_the_connection_frees_the_engine(model: openai.AsyncOpenAI, engine: LocalEngine) -> None:
    async def is_idle() -> bool:
        return engine.load.running == engine.load.waiting == 0

    endless: Any = {**GREEDY, "max_tokens": 4000}
    streams = [await model.chat.completions.create(**endless, stream=True) for _ in range(3)]
    for stream in streams:
        await anext(aiter(stream))
    assert engine.load.running + engine.load.waiting == 3
    for stream in streams:
        await stream.close()
    await eventually(is_idle)
    with pytest.raises(openai.APITimeoutError):
        await model.with_options(timeout=0.2).chat.completions.create(**endless)
    await eventually(is_idle)


@pytest.fixture
async def bundled(store: Store, models_dir: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    def opened() -> LocalEngine:
        model = load("default", models_dir=models_dir, progress=lambda *_: None)
        return LocalEngine(model, LocalSettings(native=models_dir.parent / "native"))

    engine = await asyncio.to_thread(opened)
    async with running(store=store, engine=engine, address=SERVED) as bot, client_of(bot) as client:
        yield client


@pytest.mark.timeout(300)
async def test_bundled_model_knows_the_capital_of_france(bundled: openai.AsyncOpenAI) -> None:
    asked: Any = [
        {"role": "system", "content": "You are a helpful assistant."},
        {"role": "user", "content": "What is the capital of France?"},
    ]
    stream = await bundled.chat.completions.create(
        model="default", messages=asked, temperature=0, max_tokens=24, stream=True
    )
    text = ""
    async for chunk in stream:
        text += chunk.choices[0].delta.content or ""
    assert "Paris" in text
    answer = await bundled.completions.create(
        model="default", prompt="The capital of France is", temperature=0, max_tokens=4
    )
    assert "Paris" in answer.choices[0].text
