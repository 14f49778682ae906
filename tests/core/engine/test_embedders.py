"""Embeddings: by a tiny random encoder in this process, and by a server."""

import asyncio
import json
import math
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import torch
from transformers import BertModel

from core.engine.embedding import Embedder, packed, unpacked
from core.engine.local_embedder import LocalEmbedder
from core.engine.remote_embedder import RemoteEmbedder, RemoteEmbedderSettings
from core.errors import (
    EngineError,
    EngineStopped,
    InvalidParams,
    ModelNotFound,
    Overloaded,
    PromptTooLong,
    RefusedByServer,
)
from tests.core.engine.encoders import save_encoder
from tests.core.engine.openai_server import Behaviour, OpenAIServer


@asynccontextmanager
async def running(embedder: Embedder) -> AsyncIterator[Embedder]:
    async with asyncio.TaskGroup() as group:
        run = group.create_task(embedder.run())
        await asyncio.sleep(0)
        try:
            yield embedder
        finally:
            run.cancel()


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return save_encoder(tmp_path / "tiny-encoder")


def remote(server: OpenAIServer, **settings: object) -> RemoteEmbedder:
    chosen = {"url": server.url, "model": server.model, "api_key": server.key, **settings}
    return RemoteEmbedder(RemoteEmbedderSettings(**chosen))  # type: ignore[arg-type]


def expected(folder: Path, ids: list[int], *, first_only: bool = False) -> list[float]:
    """By transformers alone, without any padding."""
    with torch.inference_mode():
        hidden = BertModel.from_pretrained(folder)(torch.tensor([ids])).last_hidden_state[0]
    pooled = hidden[0] if first_only else hidden.mean(0)
    return (pooled / pooled.norm()).tolist()  # type: ignore[no-any-return]


async def test_a_vector_is_the_mean_of_its_text_s_tokens_whatever_stands_beside_it(folder: Path) -> None:
    async with running(LocalEmbedder(folder)) as embedder:
        made = await embedder.embed(["the cat", "a dog ran on the mat", "cat"])
    assert made.tokens == 4 + 8 + 3
    for vector, ids in zip(made.vectors, [[2, 4, 5, 3], [2, 8, 10, 11, 7, 4, 9, 3], [2, 5, 3]], strict=True):
        assert unpacked(vector) == pytest.approx(expected(folder, ids), abs=1e-5)
        assert math.hypot(*unpacked(vector)) == pytest.approx(1, abs=1e-5)


async def test_tokens_are_taken_as_the_text_they_are(folder: Path) -> None:
    async with running(LocalEmbedder(folder)) as embedder:
        made = await embedder.embed(["the cat sat", [4, 5, 6]])
        assert made.vectors[0] == pytest.approx(made.vectors[1])
        with pytest.raises(InvalidParams, match="from 0 to 11"):
            await embedder.embed([[4, 12]])


async def test_many_texts_come_back_in_their_order(folder: Path) -> None:
    texts = [" ".join(["cat"] * (1 + number % 7)) for number in range(100)]
    async with running(LocalEmbedder(folder)) as embedder:
        made = await embedder.embed(texts)
        alone = [await embedder.embed([text]) for text in texts[:7]]
    for number, vector in enumerate(made.vectors):
        assert unpacked(vector) == pytest.approx(unpacked(alone[number % 7].vectors[0]), abs=1e-5)


async def test_what_is_too_long_is_refused_and_not_cut(folder: Path) -> None:
    async with running(LocalEmbedder(folder)) as embedder:
        await embedder.embed(["cat " * 14])
        with pytest.raises(PromptTooLong, match="17 tokens, and the model reads 16"):
            await embedder.embed(["cat", "cat " * 15])
        with pytest.raises(InvalidParams, match="16 dimensions"):
            await embedder.embed(["cat"], dimensions=8)


async def test_the_first_token_is_taken_where_the_folder_says_so(tmp_path: Path) -> None:
    folder = save_encoder(tmp_path / "cls", cls_token=True, mean_tokens=False)
    async with running(LocalEmbedder(folder)) as embedder:
        made = await embedder.embed(["the cat"])
    assert unpacked(made.vectors[0]) == pytest.approx(expected(folder, [2, 4, 5, 3], first_only=True), abs=1e-5)


def test_what_is_not_computed_here_is_refused_when_it_is_loaded(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelNotFound, match="pools"):
        LocalEmbedder(save_encoder(tmp_path / "last", lasttoken=True))
    with pytest.raises(ModelNotFound, match="there is no embeddings model"):
        LocalEmbedder(tmp_path / "nothing")
    (folder / "modules.json").write_text(json.dumps([{"type": "sentence_transformers.models.Dense"}]))
    with pytest.raises(ModelNotFound, match="Dense"):
        LocalEmbedder(folder)


async def test_one_that_does_not_run_says_so(folder: Path) -> None:
    embedder = LocalEmbedder(folder)
    async with running(embedder):
        await embedder.embed(["cat"])
    with pytest.raises(EngineStopped):
        await embedder.embed(["cat"])


@pytest.mark.parametrize("embeds", ["base64", "numbers"])
async def test_a_server_s_vectors_come_in_the_order_of_the_inputs(
    openai_server: OpenAIServer, embeds: str
) -> None:
    openai_server.embeds = embeds  # type: ignore[assignment]
    async with running(remote(openai_server)) as embedder:
        made = await embedder.embed(["abc", [1, 2]], dimensions=2)
    assert [unpacked(vector) for vector in made.vectors] == [[3.0, 1.5], [2.0, 1.0]]
    assert made.tokens == 5
    assert openai_server.bodies[0]["dimensions"] == 2
    assert openai_server.bodies[0]["input"] == ["abc", [1, 2]]


async def test_a_server_s_refusal_is_its_own_and_its_words_are_for_the_sender(openai_server: OpenAIServer) -> None:
    openai_server.behaviour = "too long"
    async with running(remote(openai_server)) as embedder:
        with pytest.raises(RefusedByServer) as refused:
            await embedder.embed(["secret words"])
    assert (refused.value.status, refused.value.code) == (400, "context_length_exceeded")
    assert refused.value.message == "secret words is too long"
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize(
    ("behaviour", "error"), [("429", Overloaded), ("401", EngineError), ("mute", EngineError)]
)
async def test_what_the_operator_must_see_to_is_no_refusal(
    openai_server: OpenAIServer, behaviour: Behaviour, error: type[Exception]
) -> None:
    openai_server.behaviour = behaviour
    async with running(remote(openai_server, seconds=0.5)) as embedder:
        with pytest.raises(error) as raised:
            await embedder.embed(["cat"])
    assert type(raised.value) is error
    assert openai_server.key not in str(raised.value)


async def test_a_vector_that_is_missing_is_an_error(openai_server: OpenAIServer) -> None:
    openai_server.embeds = "too few"
    async with running(remote(openai_server)) as embedder:
        with pytest.raises(EngineError, match="promises"):
            await embedder.embed(["cat", "dog"])


def test_packing_keeps_what_float32_can() -> None:
    assert unpacked(packed([1.0, -0.5, 2.0**-20])) == [1.0, -0.5, 2.0**-20]
    assert packed([1.0]) == b"\x00\x00\x80\x3f"
