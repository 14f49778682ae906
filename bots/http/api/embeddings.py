"""POST /v1/embeddings."""

import base64

import msgspec
from starlette.responses import Response

from bots.http.api.access import Visitor
from bots.http.api.endpoint import Endpoint
from bots.http.api.errors import ApiError, as_api_error
from bots.http.api.reply import Reply
from bots.http.api.requests import EmbeddingRequest
from core.engine.embedding import Embedded, unpacked
from core.errors import PromptTooLong


class Embeddings(Endpoint[EmbeddingRequest]):
    """Makes a vector of each input."""

    async def answer(self, asked: EmbeddingRequest, visitor: Visitor, reply: Reply) -> None:
        embedder = self._service.models.embedder(asked.model)
        try:
            embedded = await embedder.embed(asked.inputs, asked.dimensions)
        except PromptTooLong as exc:
            told = as_api_error(exc)
            raise ApiError(told.status, str(told), code=told.code, param="input") from exc
        await self._service.access.charge(visitor, embedded.tokens)
        await reply.send(Response(_written(asked, embedded), media_type="application/json"))


def _written(asked: EmbeddingRequest, embedded: Embedded) -> bytes:
    """By msgspec: there may be millions of numbers."""
    write = _in_base64 if asked.encoding_format == "base64" else unpacked
    return msgspec.json.encode(
        {
            "object": "list",
            "data": [
                {"object": "embedding", "index": index, "embedding": write(vector)}
                for index, vector in enumerate(embedded.vectors)
            ],
            "model": asked.model,
            "usage": {"prompt_tokens": embedded.tokens, "total_tokens": embedded.tokens},
        }
    )


def _in_base64(vector: bytes) -> str:
    return base64.b64encode(vector).decode()
