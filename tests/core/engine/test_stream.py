import asyncio
from collections.abc import Sequence
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Delta, Logprob, Usage
from core.engine.stream import Stream
from core.errors import EngineError
from tests.core.engine.tiny import byte_level

TOKENIZER = ChatTokenizer(byte_level())
USAGE = Usage(prompt=3, cached=1, completion=2)


def opened(stops: Sequence[str] = (), *, candidates: int = 1) -> Stream:
    return Stream(
        TOKENIZER.decode,
        stops,
        candidates=candidates,
        place=lambda: 7,
        estimate=lambda: 1.5,
        spell=TOKENIZER.spell,
    )


def say(stream: Stream, text: str, candidate: int = 0) -> bool:
    return True in [stream.add(token_id, candidate) for token_id in TOKENIZER.encode_text(text)]


async def rest(stream: Stream) -> list[Delta]:
    return [delta async for delta in stream]


async def test_what_came_meanwhile_is_one_delta() -> None:
    stream = opened()
    say(stream, "hello ")
    say(stream, "there")
    first = await anext(stream)
    assert first == Delta("hello there", TOKENIZER.encode_text("hello ") + TOKENIZER.encode_text("there"))
    say(stream, "!")
    stream.finish("stop", usage=USAGE)
    assert await rest(stream) == [Delta("!", TOKENIZER.encode_text("!"), "stop", usage=USAGE)]
    assert await rest(stream) == []


async def test_a_reader_that_is_cancelled_loses_nothing() -> None:
    stream = opened()
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(0):
            await anext(stream)
    say(stream, "hello")
    assert (await anext(stream)).text == "hello"


async def test_each_candidate_has_its_own_text_stop_string_and_end() -> None:
    stream = opened(("END",), candidates=3)
    fox = TOKENIZER.encode_text("🦊")
    say(stream, "one E", 0)
    stream.add(fox[0], 1)
    say(stream, "three", 2)
    assert not say(stream, "N", 0)
    for token_id in fox[1:]:
        stream.add(token_id, 1)
    assert say(stream, "D and more", 0)
    stream.finish("stop", 0, USAGE)
    stream.finish("length", 2)
    assert [(d.candidate, d.text, d.finish) for d in (await anext(stream), await anext(stream))] == [
        (0, "one ", "stop"),
        (2, "three", "length"),
    ]
    stream.finish("stop", 1)
    assert await rest(stream) == [Delta("🦊", fox, "stop", 1)]


async def test_candidates_with_news_take_turns() -> None:
    stream = opened(candidates=2)
    say(stream, "a", 1)
    say(stream, "b", 0)
    assert (await anext(stream)).candidate == 1
    say(stream, "a", 1)
    assert [(await anext(stream)).candidate, (await anext(stream)).candidate] == [0, 1]


async def test_log_probabilities_come_with_their_tokens() -> None:
    stream = opened(("stop",))
    told = [Logprob(token_id, -0.5, ((token_id, -0.5),)) for token_id in TOKENIZER.encode_text("aos s")]
    for logprob in told[:3]:
        stream.add(logprob.token_id, logprob=logprob)
    first = await anext(stream)
    assert (first.text, first.logprobs) == ("ao", tuple(told[:2]))
    assert first.token_ids == tuple(logprob.token_id for logprob in first.logprobs)
    for logprob in told[3:]:
        stream.add(logprob.token_id, logprob=logprob)
    stream.finish("length")
    (last,) = await rest(stream)
    assert (last.text, last.logprobs) == ("s s", tuple(told[2:]))


async def test_what_stands_before_a_stop_string_has_no_token_of_it() -> None:
    stream = opened(("END",))
    say(stream, "so ")
    assert say(stream, "END")
    assert say(stream, "more")
    stream.finish("length", usage=USAGE)
    (delta,) = await rest(stream)
    assert delta == Delta("so ", TOKENIZER.encode_text("so "), "stop", usage=USAGE)


async def test_half_a_stop_string_becomes_text_at_the_end_and_half_a_character_does_not() -> None:
    stream = opened(("END",), candidates=2)
    say(stream, "the EN", 0)
    stream.finish("stop", 0)
    stream.add(TOKENIZER.encode_text("🦊")[0], 1)
    stream.finish("stop", 1)
    assert [(d.text, d.token_ids) for d in await rest(stream)] == [
        ("the EN", TOKENIZER.encode_text("the EN")),
        ("", ()),
    ]


async def test_an_error_comes_after_the_text_before_it() -> None:
    stream = opened(candidates=2)
    say(stream, "begun", 1)
    stream.fail(EngineError("out of order"))
    stream.finish("stop", 0)
    assert stream.add(5, 0)
    assert (await anext(stream)).text == "begun"
    for _ in range(2):
        with pytest.raises(EngineError, match="out of order"):
            await anext(stream)


async def test_an_error_after_the_end_changes_nothing() -> None:
    stream = opened()
    stream.finish("stop")
    stream.finish("length")
    stream.fail(EngineError("out of order"))
    assert [delta.finish for delta in await rest(stream)] == ["stop"]


@pytest.mark.parametrize("begins", ["token", "finish", "fail"])
def test_it_stands_in_line_until_it_has_begun(begins: str) -> None:
    stream = opened()
    assert (stream.place_in_line, stream.estimate) == (7, 1.5)
    match begins:
        case "token":
            stream.add(TOKENIZER.encode_text("🦊")[0])
        case "finish":
            stream.finish("stop")
        case _:
            stream.fail(EngineError("out of order"))
    assert (stream.place_in_line, stream.estimate) == (0, 0.0)


@given(
    texts=st.lists(st.text("abE🦊\n"), min_size=1, max_size=3),
    stops=st.lists(st.text("abE🦊", min_size=1, max_size=3), max_size=2),
    order=st.randoms(use_true_random=False),
)
async def test_however_it_is_read_each_candidate_is_what_it_is_alone(
    texts: list[str], stops: list[str], order: Random
) -> None:
    async def alone(text: str) -> list[Delta]:
        stream = opened(stops)
        say(stream, text)
        stream.finish("length")
        return await rest(stream)

    stream = opened(stops, candidates=len(texts))
    left = {candidate: list(TOKENIZER.encode_text(text)) for candidate, text in enumerate(texts)}
    read: list[Delta] = []
    while left:
        candidate = order.choice(list(left))
        if not left[candidate] or stream.add(left[candidate].pop(0), candidate):
            stream.finish("length", candidate)
            del left[candidate]
            read.append(await anext(stream))
    read += await rest(stream)
    for candidate, text in enumerate(texts):
        parts = [delta for delta in read if delta.candidate == candidate]
        (whole,) = await alone(text)
        assert "".join(part.text for part in parts) == whole.text
        assert tuple(number for part in parts for number in part.token_ids) == whole.token_ids
        assert [part.finish for part in parts] == [""] * (len(parts) - 1) + [whole.finish]
        assert not any("\ufffd" in part.text for part in parts)
