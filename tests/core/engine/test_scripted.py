import asyncio

import pytest

from core.engine.engine import Message, Params, Usage
from core.engine.scripted import ScriptedEngine
from tests.core.engine.tiny import ask, running


@pytest.mark.parametrize("text", ["hello  there,\n friend ", "", " \n", "🦊", "  indented", "x" * 100_000])
async def test_it_says_the_text_back_exactly_and_nothing_else(text: str) -> None:
    answer = await ask(ScriptedEngine(), text, Params(max_tokens=1, stop=("said",)))
    assert answer.text == f"You said: {text}"
    assert answer.finish[-1] == "stop"
    assert not any(answer.finish[:-1])


async def test_it_speaks_word_by_word() -> None:
    assert (await ask(ScriptedEngine(), "hello  there", Params())).pieces == ("You ", "said: ", "hello  ", "there")


async def test_only_the_newest_message_is_said_back() -> None:
    chat = (Message("system", "s"), Message("user", "one"), Message("assistant", "two"), Message("user", "three"))
    assert (await ask(ScriptedEngine(), chat, Params())).text == "You said: three"


@pytest.mark.parametrize("so_far", ["You", "You said: ", "You said: hel", "You said: hello there"])
async def test_it_goes_on_with_an_unfinished_answer(so_far: str) -> None:
    chat = (Message("user", "hello there"), Message("assistant", so_far))
    assert so_far + (await ask(ScriptedEngine(), chat, Params())).text == "You said: hello there"


async def test_candidates_say_the_same_and_each_counts_its_words() -> None:
    chat = (Message("system", "be kind"), Message("user", "hello there"))
    async with ScriptedEngine().generate(chat, Params(candidates=3)) as deltas:
        assert (deltas.place_in_line, deltas.estimate) == (0, 0.0)
        told = [delta async for delta in deltas]
    for candidate in range(3):
        own = [delta for delta in told if delta.candidate == candidate]
        assert "".join(delta.text for delta in own) == "You said: hello there"
        assert [delta.finish for delta in own] == ["", "", "", "stop"]
        assert [delta.usage for delta in own] == [None, None, None, Usage(prompt=4, cached=0, completion=4)]


async def test_others_run_between_two_words() -> None:
    engine = ScriptedEngine()
    turns: list[str] = []

    async def listen(name: str) -> None:
        async with engine.generate((Message("user", "a b"),), Params()) as deltas:
            async for _ in deltas:
                turns.append(name)  # noqa: PERF401 both write into it

    async with asyncio.TaskGroup() as group:
        group.create_task(listen("ann"))
        group.create_task(listen("bob"))
    assert turns[:4] == ["ann", "bob", "ann", "bob"]


async def test_a_delay_passes_between_words_and_ends_when_it_is_stopped() -> None:
    engine = ScriptedEngine(delay=0.001)
    async with running(engine):
        assert (await ask(engine, "hello", Params())).text == "You said: hello"


def test_a_word_is_a_token() -> None:
    assert ScriptedEngine().count((Message("system", "be kind"), Message("user", " one  two three "))) == 5
