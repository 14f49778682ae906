"""The OpenAPI document: requests as they are checked, and answers as they are made. A test holds both to it."""

from functools import cache
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict
from pydantic.json_schema import models_json_schema

from bots.http.api.requests import ChatRequest, CompletionRequest, EmbeddingRequest

_SCHEMAS = "#/components/schemas/{model}"
_ERRORS = (400, 401, 403, 404, 408, 413, 421, 422, 429, 500, 503)


class _Answered(BaseModel):
    model_config = ConfigDict(extra="forbid")


class Problem(_Answered):
    message: str
    type: str
    param: str | None
    code: str | None


class Error(_Answered):
    error: Problem


class Model(_Answered):
    id: str
    object: Literal["model"]
    created: int
    owned_by: Literal["trialogue"]


class ModelList(_Answered):
    object: Literal["list"]
    data: list[Model]


class CachedTokens(_Answered):
    cached_tokens: int


class UsageOf(_Answered):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    prompt_tokens_details: CachedTokens


class TokenLogprob(_Answered):
    token: str
    logprob: float
    bytes: list[int]


class SampledLogprob(TokenLogprob):
    top_logprobs: list[TokenLogprob]


class ChatLogprobs(_Answered):
    content: list[SampledLogprob]
    refusal: None


class TextLogprobs(_Answered):
    tokens: list[str]
    token_logprobs: list[float]
    top_logprobs: list[dict[str, float]]
    text_offset: list[int]


class AnswerMessage(_Answered):
    role: Literal["assistant"]
    content: str
    refusal: None


class ChatChoice(_Answered):
    index: int
    message: AnswerMessage
    logprobs: ChatLogprobs | None
    finish_reason: Literal["stop", "length"]


class TextChoice(_Answered):
    index: int
    text: str
    logprobs: TextLogprobs | None
    finish_reason: Literal["stop", "length"]


class _AnAnswer(_Answered):
    id: str
    created: int
    model: str
    system_fingerprint: str | None
    usage: UsageOf | None


class ChatCompletion(_AnAnswer):
    object: Literal["chat.completion"]
    choices: list[ChatChoice]


class TextCompletion(_AnAnswer):
    object: Literal["text_completion"]
    choices: list[TextChoice]


class Embedding(_Answered):
    object: Literal["embedding"]
    index: int
    embedding: list[float] | str


class UsageOfEmbeddings(_Answered):
    prompt_tokens: int
    total_tokens: int


class EmbeddingList(_Answered):
    object: Literal["list"]
    data: list[Embedding]
    model: str
    usage: UsageOfEmbeddings


_ALL: tuple[type[BaseModel], ...] = (
    ChatRequest,
    CompletionRequest,
    EmbeddingRequest,
    ChatCompletion,
    TextCompletion,
    EmbeddingList,
    Model,
    ModelList,
    Error,
)


@cache
def document() -> dict[str, Any]:
    _, schemas = models_json_schema([(model, "validation") for model in _ALL], ref_template=_SCHEMAS)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Trialogue",
            "version": "1",
            "description": "OpenAI's API, as far as Trialogue serves it.",
        },
        "security": [{"key": []}, {}],
        "paths": {
            "/v1/models": {"get": _operation("listModels", "The names that `model` may have", "ModelList")},
            "/v1/models/{model}": {
                "get": _operation("retrieveModel", "One of them", "Model")
                | {"parameters": [{"name": "model", "in": "path", "required": True, "schema": {"type": "string"}}]}
            },
            "/v1/chat/completions": {
                "post": _operation("createChatCompletion", "Answer a chat", "ChatCompletion", asked="ChatRequest")
            },
            "/v1/completions": {
                "post": _operation(
                    "createCompletion", "Go on with a text", "TextCompletion", asked="CompletionRequest"
                )
            },
            "/v1/embeddings": {
                "post": _operation(
                    "createEmbedding",
                    "Make vectors of texts",
                    "EmbeddingList",
                    asked="EmbeddingRequest",
                    streams=False,
                )
            },
        },
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer"}},
        },
    }


def _operation(
    name: str, summary: str, answer: str, *, asked: str | None = None, streams: bool = True
) -> dict[str, Any]:
    content: dict[str, Any] = {"application/json": {"schema": _ref(answer)}}
    if asked is not None and streams:  # with `stream` true
        content["text/event-stream"] = {"schema": {"type": "string"}}
    failed = {"description": "An error", "content": {"application/json": {"schema": _ref("Error")}}}
    responses = {"200": {"description": summary, "content": content}} | {str(code): failed for code in _ERRORS}
    operation: dict[str, Any] = {"operationId": name, "summary": summary, "responses": responses}
    if asked is not None:
        operation["requestBody"] = {"required": True, "content": {"application/json": {"schema": _ref(asked)}}}
    return operation


def _ref(model: str) -> dict[str, str]:
    return {"$ref": _SCHEMAS.format(model=model)}
