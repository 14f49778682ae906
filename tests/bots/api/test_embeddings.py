"""Embeddings for OpenAI's own client: of a tiny random encoder, of a server, and of nobody."""

import asyncio
import base64
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import openai
import pytest

from core.engine.embedding import unpacked
from core.engine.local_embedder import LocalEmbedder
from core.engine.remote_embedder import RemoteEmbedder, RemoteEmbedderSettings
from core.engine.scripted import ScriptedEngine
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.bots.api.conftest import SERVED, client_of
from tests.bots.api.test_answers import HI
from tests.bots.instruments.scrape import Samples, of, samples
from tests.core.engine.encoders import save_encoder
from tests.core.engine.openai_server import OpenAIServer
from tests.core.store.steps import eventually
from tests.running import running

NAME = "tiny-encoder"


@pytest.fixture
async def local(store: Store, tmp_path: Path) -> AsyncIterator[openai.AsyncOpenAI]:
    embedder = await asyncio.to_thread(lambda: LocalEmbedder(save_encoder(tmp_path / NAME)))
    engine = ScriptedEngine()
    async with (
        running(store=store, engine=engine, embedder=embedder, address=SERVED) as bot,
        client_of(bot) as client,
    ):
        yield client


@pytest.fixture
async def passed_on(store: Store, openai_server: OpenAIServer) -> AsyncIterator[openai.AsyncOpenAI]:
    settings = RemoteEmbedderSettings(url=openai_server.url, model=openai_server.model, api_key=openai_server.key)
    embedder = RemoteEmbedder(settings)
    engine = ScriptedEngine()
    async with (
        running(store=store, engine=engine, embedder=embedder, address=SERVED) as bot,
        client_of(bot) as client,
    ):
        yield client


async def test_texts_become_vectors_in_their_order(local: openai.AsyncOpenAI) -> None:
    assert [model.id async for model in local.models.list()] == ["default", "echo", NAME]
    one = await local.embeddings.create(model=NAME, input="the cat")
    many = await local.embeddings.create(model=NAME, input=["a dog", "the cat"])
    assert one.model == NAME
    assert [each.index for each in many.data] == [0, 1]
    assert many.data[1].embedding == pytest.approx(one.data[0].embedding, abs=1e-5)
    assert many.data[0].embedding != pytest.approx(one.data[0].embedding, abs=1e-2)
    assert len(one.data[0].embedding) == 16
    assert (one.usage.prompt_tokens, many.usage.total_tokens) == (4, 8)


async def test_vectors_are_numbers_or_base64(local: openai.AsyncOpenAI) -> None:
    numbers = await local.embeddings.create(model=NAME, input="the cat", encoding_format="float")
    written = await local.embeddings.create(model=NAME, input="the cat", encoding_format="base64")
    text: Any = written.data[0].embedding
    assert isinstance(text, str)
    assert unpacked(base64.b64decode(text)) == pytest.approx(numbers.data[0].embedding)


async def test_tokens_are_inputs_too(local: openai.AsyncOpenAI) -> None:
    text = await local.embeddings.create(model=NAME, input="the cat")
    tokens = await local.embeddings.create(model=NAME, input=[4, 5])
    several = await local.embeddings.create(model=NAME, input=[[4, 5], [6]])
    assert tokens.data[0].embedding == pytest.approx(text.data[0].embedding)
    assert len(several.data) == 2


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"input": ""}, "input"),
        ({"input": []}, "input"),
        ({"input": ["cat", ""]}, "input"),
        ({"input": ["cat"] * 2049}, "input"),
        ({"input": "cat " * 15}, "input"),
        ({"input": [10**6]}, None),
        ({"input": "cat", "dimensions": 8}, None),
        ({"input": "cat", "encoding_format": "hex"}, "encoding_format"),
    ],
)
async def test_what_cannot_be_embedded_is_refused(
    local: openai.AsyncOpenAI, asked: dict[str, object], param: str | None
) -> None:
    with pytest.raises(openai.BadRequestError) as refused:
        await local.embeddings.create(model=NAME, **asked)  # type: ignore[arg-type]
    assert (refused.value.param or "").startswith(param or "")


async def test_each_model_does_what_it_is_for(local: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match="makes embeddings only"):
        await local.chat.completions.create(model=NAME, messages=HI)
    with pytest.raises(openai.NotFoundError, match="makes no embeddings"):
        await local.embeddings.create(model="default", input="cat")
    with pytest.raises(openai.NotFoundError, match="no such model"):
        await local.embeddings.create(model="parrot", input="cat")


async def test_without_a_model_for_it_the_answer_says_so(client: openai.AsyncOpenAI) -> None:
    with pytest.raises(openai.NotFoundError, match=r"embeddings\.name is not set") as refused:
        await client.embeddings.create(model="default", input="cat")
    assert (refused.value.code, refused.value.param) == ("model_not_found", "model")


async def test_a_server_is_passed_on_to_with_its_own_refusals(
    passed_on: openai.AsyncOpenAI, openai_server: OpenAIServer
) -> None:
    made = await passed_on.embeddings.create(model=openai_server.model, input=["abc", "de"])
    assert [each.embedding for each in made.data] == [[3.0, 1.5], [2.0, 1.0]]
    assert made.usage.prompt_tokens == 5
    openai_server.behaviour = "too long"
    with pytest.raises(openai.BadRequestError, match="abc is too long") as refused:
        await passed_on.embeddings.create(model=openai_server.model, input="abc")
    assert refused.value.code == "context_length_exceeded"
    openai_server.behaviour = "401"
    with pytest.raises(openai.InternalServerError) as failed:
        await passed_on.embeddings.create(model=openai_server.model, input="abc")
    assert openai_server.key not in str(failed.value)


async def test_requests_are_counted_by_how_they_ended(store: Store, openai_server: OpenAIServer) -> None:
    settings = RemoteEmbedderSettings(url=openai_server.url, model=openai_server.model, api_key=openai_server.key)
    embedder, engine = RemoteEmbedder(settings), ScriptedEngine()
    seconds = "trialogue_embedding_duration_seconds"
    async with (
        running(store=store, engine=engine, embedder=embedder, address=SERVED) as bot,
        client_of(bot) as client,
    ):
        await client.embeddings.create(model=openai_server.model, input=["abc", "de"])
        openai_server.behaviour = "too long"
        with pytest.raises(openai.BadRequestError):
            await client.embeddings.create(model=openai_server.model, input="abc")
        openai_server.behaviour = "mute"
        async with asyncio.TaskGroup() as group:
            left = group.create_task(client.embeddings.create(model=openai_server.model, input="abc"))

            async def asked() -> bool:
                return len(openai_server.bodies) == 3

            await eventually(asked)
            left.cancel()

        async def counted() -> Samples:
            seen = await samples(bot)
            return seen if of(f"{seconds}_count", source="api", outcome="left") in seen else {}

        seen = await eventually(counted)
    assert seen[of(f"{seconds}_count", source="api", outcome="done")] == 1
    assert seen[of(f"{seconds}_sum", source="api", outcome="done")] > 0
    assert seen[of(f"{seconds}_count", source="api", outcome="failed")] == 1
    assert seen[of("trialogue_tokens_total", source="api", kind="embedded")] == 5


async def test_a_key_pays_for_its_tokens(local: openai.AsyncOpenAI, store: Store) -> None:
    secret = (await ApiKeys(store.client).add("ann", tokens_per_minute=100))[0]
    asked = local.with_options(api_key=secret).embeddings.with_raw_response
    await asked.create(model=NAME, input="the cat")
    again = await asked.create(model=NAME, input="the cat")
    assert again.headers["x-ratelimit-remaining-tokens"] == "96"
