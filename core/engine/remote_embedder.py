"""Embeddings of a server that speaks OpenAI's API. What it refuses, its sender is told in its own words."""

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI

from core.engine.embedding import Embedded, Input, packed
from core.engine.refusals import translated
from core.errors import EngineError, EngineStopped, Overloaded, RefusedByServer

_TOLD = {400, 404, 413, 422}  # what is wrong with a request; the other states are the operator's business


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteEmbedderSettings:
    """`url` is the API's root, as a rule ending in /v1. An answer may take `seconds`, and so many requests run at
    once."""

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    seconds: float = 120.0
    max_running: int = 64


class RemoteEmbedder:
    """A model on another machine."""

    def __init__(self, settings: RemoteEmbedderSettings) -> None:
        self.name = settings.model
        self._settings = settings
        self._client = AsyncOpenAI(base_url=settings.url, api_key=settings.api_key or "none", max_retries=2)
        self._running = 0
        self._stopped = False

    async def embed(self, inputs: Sequence[Input], dimensions: int | None = None) -> Embedded:
        """See `Embedder.embed`."""
        if self._stopped:
            raise EngineStopped("the connection to the embeddings server is closed")
        if self._running >= self._settings.max_running:
            raise Overloaded(f"{self._running} requests are with the embeddings server")
        self._running += 1
        try:
            async with asyncio.timeout(self._settings.seconds):
                with translated():
                    answer = await self._ask(list(inputs), dimensions)
                    return Embedded(_vectors(answer.data, len(inputs)), answer.usage.prompt_tokens)
        except TimeoutError:
            raise EngineError("the embeddings server is silent") from None
        finally:
            self._running -= 1

    async def run(self) -> None:
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stopped = True
            await self._client.close()

    async def _ask(self, inputs: list[Any], dimensions: int | None) -> Any:
        try:
            return await self._client.embeddings.create(
                model=self._settings.model,
                input=inputs,
                encoding_format="base64",  # a tenth of the work; servers that do not know it send numbers
                dimensions=openai.omit if dimensions is None else dimensions,
            )
        except openai.APIStatusError as error:
            if error.status_code in _TOLD:
                raise _refusal(error) from None
            raise


def _vectors(data: Sequence[Any], count: int) -> list[bytes]:
    """In the order of what was asked. Raises `ValueError`, `TypeError` or `AttributeError` for what the API does
    not promise."""
    each = sorted(data, key=lambda embedding: embedding.index)
    if [embedding.index for embedding in each] != list(range(count)):
        raise ValueError("a vector is missing")
    vectors = [_vector(embedding.embedding) for embedding in each]
    if len({len(vector) for vector in vectors}) != 1 or not vectors[0] or len(vectors[0]) % 4:
        raise ValueError("the vectors are not alike")
    return vectors


def _vector(told: Any) -> bytes:
    return base64.b64decode(told, validate=True) if isinstance(told, str) else packed(told)


def _refusal(error: openai.APIStatusError) -> RefusedByServer:
    body: Any = error.body if isinstance(error.body, dict) else {}
    told = {name: str(value) for name, value in body.items() if value is not None}
    return RefusedByServer(
        error.status_code,
        told.get("message") or "The embeddings server does not take this.",
        kind=told.get("type") or "invalid_request_error",
        code=told.get("code"),
        param=told.get("param"),
    )
