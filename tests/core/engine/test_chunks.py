from typing import Any

import pytest
from openai.types.chat import ChatCompletionChunk

from core.engine.chunks import Chunks
from core.engine.engine import Delta, Logprob, Usage


def chunk(*choices: dict[str, Any], **more: Any) -> ChatCompletionChunk:
    """As the SDK makes it of what a server sends: nothing is checked."""
    return ChatCompletionChunk.construct(choices=list(choices), **more)


def word(text: str, index: int = 0, finish: str | None = None, *tokens: str) -> dict[str, Any]:
    content = [{"token": token, "logprob": -1.0, "top_logprobs": []} for token in tokens]
    logprobs = {"content": content} if tokens else None
    return {"index": index, "delta": {"content": text}, "finish_reason": finish, "logprobs": logprobs}


def test_text_in_the_last_chunk_comes_before_the_end() -> None:
    chunks = Chunks(1)
    chunks.add(chunk(word("hello", 0, "stop")))
    assert (chunks.complete, list(chunks.deltas)) == (True, [Delta("hello")])
    chunks.close()
    assert list(chunks.deltas) == [Delta("hello"), Delta("", finish="stop")]


def test_only_the_very_last_delta_waits_for_the_usage() -> None:
    chunks = Chunks(2)
    chunks.add(chunk(word("", 1, "length"), word("hello", 0)))
    chunks.add(chunk(word("", 0, "stop"), word("nobody reads this", 1)))
    chunks.add(chunk(usage={"prompt_tokens": 5, "completion_tokens": 7, "total_tokens": 12}))
    assert chunks.complete
    chunks.close()
    assert list(chunks.deltas) == [
        Delta("", finish="length", candidate=1),
        Delta("hello"),
        Delta("", finish="stop", usage=Usage(prompt=5, cached=0, completion=7)),
    ]


def test_a_token_without_text_comes_with_the_next_text() -> None:
    chunks = Chunks(1)
    chunks.add(chunk(word("", 0, None, "\\xf0")))
    chunks.add(chunk(word("🦊", 0, None, "\\x9f")))
    chunks.add(chunk(word("", 0, "stop", "\\xf0")))
    chunks.close()
    assert [delta.logprobs for delta in chunks.deltas] == [
        (Logprob(-1, -1.0), Logprob(-2, -1.0)),
        (Logprob(-1, -1.0),),
    ]


def test_ids_in_the_place_of_tokens_are_taken_for_what_they_are() -> None:
    chunks = Chunks(1)
    chunks.add(chunk(word("hello", 0, None, "token_id:15496")))
    assert chunks.deltas[0].logprobs == (Logprob(15496, -1.0),)


@pytest.mark.parametrize("why", ["content_filter", "tool_calls"])
def test_other_ends_are_ends(why: str) -> None:
    chunks = Chunks(1)
    chunks.add(chunk(word("", 0, why)))
    chunks.close()
    assert chunks.deltas[-1].finish == "stop"


@pytest.mark.parametrize(
    "broken",
    [
        chunk(word("hello", 1)),
        chunk(word("hello", -1)),
        chunk(word("", 0, "abort")),
        chunk(word("", 0, "error")),
        chunk({"index": 0, "delta": None, "finish_reason": None}),
        chunk({"delta": {"content": "hello"}}),
        ChatCompletionChunk.construct(choices="hello"),
    ],
)
def test_what_the_api_does_not_promise_is_refused(broken: ChatCompletionChunk) -> None:
    with pytest.raises((ValueError, TypeError, AttributeError)):
        Chunks(1).add(broken)
