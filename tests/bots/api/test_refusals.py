"""Bad input: each gets an error in OpenAI's form with the right status, and nothing else happens."""

import json
from typing import Any

import httpx
import openai
import pytest

from bots.bot import Bot
from bots.http.server import MAX_BODY
from tests.bots.api.test_answers import HI

CHAT = "/v1/chat/completions"
ASKED: dict[str, Any] = {"model": "default", "messages": HI}


async def post(bot: Bot, body: bytes | dict[str, Any], path: str = CHAT, **headers: str) -> httpx.Response:
    content = json.dumps(body).encode() if isinstance(body, dict) else body
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.post(f"{bot.url}{path}", content=content, headers=headers)


@pytest.mark.parametrize(
    ("changed", "param"),
    [
        ({"n": 1000}, "n"),
        ({"n": 0}, "n"),
        ({"max_tokens": -1}, "max_tokens"),
        ({"max_tokens": "7"}, "max_tokens"),
        ({"temperature": 2.5}, "temperature"),
        ({"top_p": float("nan")}, "top_p"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "system", "content": "alone"}]}, "messages"),
        ({"messages": [{"role": "wizard", "content": "abracadabra"}]}, "messages.0"),
        ({"messages": [{"role": "user"}]}, "messages.0.user.content"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "x"}}]}]},
            "messages",
        ),
        ({"stop": ["a", "b", "c", "d", "e"]}, "stop"),
        ({"stop": ""}, "stop"),
        ({"top_logprobs": 3}, "top_logprobs"),
        ({"logprobs": True, "top_logprobs": 21}, "top_logprobs"),
        ({"presence_penalty": 1.0}, "presence_penalty"),
        ({"tools": [{"type": "function"}]}, "tools"),
        ({"response_format": {"type": "json_object"}}, "response_format"),
        ({"seed": 2**70}, "seed"),
        ({"abracadabra": 1}, "abracadabra"),
    ],
)
async def test_field_at_fault_is_named_and_what_was_sent_is_not_quoted(
    bot: Bot, changed: dict[str, Any], param: str
) -> None:
    answer = await post(bot, {**ASKED, **changed})
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["param"].startswith(param)
    assert "alone" not in error["message"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"model": "default", "messages": [{"role": "user", "content": "hi',
        b'{"model": "default", "messages": [{"role": "user", "content": "\xff\xfe"}]}',
        b'{"model": "default", "messages": [{"role": "user", "content": "\\ud800"}]}',
        b'{"model": "default", "messages": ' + b"[" * 100_000 + b"]" * 100_000 + b"}",
        b'{"model":' * 50_000 + b"1" + b"}" * 50_000,
        b"[]",
        b"1" * 100_000,
    ],
)
async def test_body_that_is_no_request_is_refused(bot: Bot, body: bytes) -> None:
    answer = await post(bot, body)
    assert answer.status_code == 400
    assert answer.json()["error"]["type"] == "invalid_request_error"


async def test_body_over_the_limit_is_refused(bot: Bot) -> None:
    answer = await post(bot, b"x" * (MAX_BODY + 1))
    assert answer.status_code == 413
    assert answer.json()["error"]["message"]


async def test_client_raises_its_own_exceptions(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as missing:
        await client.chat.completions.create(model="parrot", messages=HI)
    assert (missing.value.code, missing.value.param) == ("model_not_found", "model")
    with pytest.raises(openai.BadRequestError):
        await client.chat.completions.create(model="default", messages=HI, n=1000)
    with pytest.raises(openai.BadRequestError):
        await client.completions.create(model="default", prompt=[1, 2, 3])
    with pytest.raises(openai.NotFoundError):
        await client.embeddings.create(model="default", input="hi")


@pytest.mark.parametrize("n", [0, 129, 1000])
async def test_number_of_choices_has_bounds_that_are_told(bot: Bot, n: int) -> None:
    answer = await post(bot, {**ASKED, "n": n})
    assert answer.status_code == 400
    assert answer.json()["error"]["param"] == "n"
    assert ("128" if n else "1") in answer.json()["error"]["message"]


async def test_prompt_longer_than_the_context_is_told_so_by_its_code(model: openai.AsyncOpenAI) -> None:
    long: Any = [{"role": "user", "content": "word " * 5000}]
    for stream in (False, True):
        with pytest.raises(openai.BadRequestError) as refused:
            await model.chat.completions.create(model="default", messages=long, stream=stream)
        assert refused.value.code == "context_length_exceeded"


async def test_wrong_method_and_unknown_path_are_told_in_the_same_form(bot: Bot) -> None:
    async with httpx.AsyncClient(trust_env=False, base_url=str(bot.url)) as client:
        wrong = await client.get(CHAT)
        missing = await client.post("/v1/abracadabra")
    assert (wrong.status_code, wrong.headers["allow"]) == (405, "POST")
    assert missing.status_code == 404
    assert wrong.json()["error"]["message"]
    assert missing.json()["error"]["message"]
