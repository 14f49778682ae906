"""What may be asked for, with OpenAI's names and limits. Knows neither HTTP nor an engine.

A field that we do not know is refused, and so is a known one that we cannot serve: an answer that silently leaves
out what was asked for is worse than an error. `top_k`, `min_p` and `repetition_penalty` are not OpenAI's; other
servers have them under these names.
"""

from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, Any, Literal, TypeVar, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bots.http.api.errors import ApiError
from core.engine.embedding import Input
from core.engine.engine import Message, Params

MOST_CHOICES = 128
"""OpenAI's limit, and the engine's."""

MOST_MESSAGES = 4096

MOST_INPUTS = 2048
"""OpenAI's limit."""

_COMPLETION_TOKENS = 16  # OpenAI's default for /v1/completions


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, strict=True, hide_input_in_errors=True)


class TextPart(_Asked):
    type: Literal["text"]
    text: str


Content = str | Annotated[list[TextPart], Field(min_length=1, max_length=256)]


class InstructionMessage(_Asked):
    role: Literal["system", "developer"]
    content: Content
    name: str | None = None


class UserMessage(_Asked):
    role: Literal["user"]
    content: Content
    name: str | None = None


class AssistantMessage(_Asked):
    """What clients send back of an earlier answer has these fields, empty as ours are."""

    role: Literal["assistant"]
    content: Content
    name: str | None = None
    refusal: None = None
    audio: None = None
    annotations: Annotated[list[Any], Field(max_length=0)] | None = None
    function_call: None = None
    tool_calls: None = None


ChatMessage = Annotated[InstructionMessage | UserMessage | AssistantMessage, Field(discriminator="role")]
Stop = Annotated[str, Field(min_length=1, max_length=256)]
Penalty = Annotated[float, Field(ge=0, le=0)]


class StreamOptions(_Asked):
    include_usage: bool = False
    include_obfuscation: Literal[False] = False


class TextFormat(_Asked):
    type: Literal["text"]


class _Sampled(_Asked):
    """What both ways of asking have. `None` is the default everywhere, as clients send it."""

    model: str = Field(min_length=1, max_length=256)
    max_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    temperature: Annotated[float, Field(ge=0, le=2)] | None = None
    top_p: Annotated[float, Field(ge=0, le=1)] | None = None
    n: Annotated[int, Field(ge=1, le=MOST_CHOICES)] | None = None
    stop: Stop | Annotated[list[Stop], Field(max_length=4)] | None = None
    seed: Annotated[int, Field(ge=-(2**63), lt=2**63)] | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    user: Annotated[str, Field(max_length=512)] | None = None
    presence_penalty: Penalty | None = Field(None, description="Only 0: the engine has repetition_penalty.")
    frequency_penalty: Penalty | None = Field(None, description="Only 0: the engine has repetition_penalty.")
    logit_bias: Annotated[dict[str, float], Field(max_length=0)] | None = None
    top_k: Annotated[int, Field(ge=0, le=1_000_000)] | None = None
    min_p: Annotated[float, Field(ge=0, le=1)] | None = None
    repetition_penalty: Annotated[float, Field(ge=0.01, le=100)] | None = None

    @property
    def wants_usage(self) -> bool:
        """In a stream; a whole answer always has it."""
        return self.stream_options is not None and self.stream_options.include_usage

    def _params(self, defaults: Params, *, max_tokens: int | None, logprobs: int | None) -> Params:
        chosen: dict[str, Any] = {
            "max_tokens": max_tokens,
            "temperature": self.temperature,
            "top_p": self.top_p,
            "candidates": self.n,
            "stop": None
            if self.stop is None
            else (self.stop,)
            if isinstance(self.stop, str)
            else tuple(self.stop),
            "seed": self.seed,
            "top_k": self.top_k,
            "min_p": self.min_p,
            "repetition_penalty": self.repetition_penalty,
            "logprobs": logprobs,
        }
        return replace(defaults, **{name: value for name, value in chosen.items() if value is not None})


class ChatRequest(_Sampled):
    """POST /v1/chat/completions. One message at least is the user's. A last message of the assistant's is gone on
    with."""

    messages: Annotated[list[ChatMessage], Field(min_length=1, max_length=MOST_MESSAGES)] = Field(
        json_schema_extra={"contains": {"properties": {"role": {"const": "user"}}, "required": ["role"]}}
    )
    max_completion_tokens: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    logprobs: bool | None = None
    top_logprobs: Annotated[int, Field(ge=0, le=20)] | None = None
    response_format: TextFormat | None = None
    tools: Annotated[list[Any], Field(max_length=0)] | None = None
    tool_choice: Literal["none", "auto"] | None = None
    parallel_tool_calls: bool | None = None
    modalities: Annotated[list[Literal["text"]], Field(min_length=1, max_length=1)] | None = None
    metadata: dict[str, str] | None = None
    store: Literal[False] | None = None
    service_tier: Literal["auto", "default"] | None = None
    safety_identifier: Annotated[str, Field(max_length=512)] | None = None
    prompt_cache_key: Annotated[str, Field(max_length=512)] | None = None

    def params(self, defaults: Params) -> Params:
        if self.top_logprobs is not None and not self.logprobs:
            raise ApiError(400, "top_logprobs needs logprobs to be true.", param="top_logprobs")
        most = self.max_tokens if self.max_completion_tokens is None else self.max_completion_tokens
        return self._params(
            defaults, max_tokens=most, logprobs=(self.top_logprobs or 0) if self.logprobs else None
        )

    def as_messages(self) -> Sequence[Message]:
        if not any(message.role == "user" for message in self.messages):
            raise ApiError(400, "One message at least must have the role user.", param="messages")
        return [
            Message("system" if message.role == "developer" else message.role, _text(message.content))
            for message in self.messages
        ]


class CompletionRequest(_Sampled):
    """POST /v1/completions: a text that is gone on with as it stands, without a chat template."""

    prompt: (
        Annotated[str, Field(min_length=1)]
        | Annotated[list[Annotated[str, Field(min_length=1)]], Field(min_length=1, max_length=1)]
    )
    logprobs: Annotated[int, Field(ge=0, le=5)] | None = None
    echo: Literal[False] | None = None
    best_of: Literal[1] | None = None
    suffix: None = None

    def params(self, defaults: Params) -> Params:
        return self._params(defaults, max_tokens=self.max_tokens or _COMPLETION_TOKENS, logprobs=self.logprobs)

    def as_messages(self) -> Sequence[Message]:
        return [Message("plain", self.prompt if isinstance(self.prompt, str) else self.prompt[0])]


Text = Annotated[str, Field(min_length=1)]
Tokens = Annotated[list[Annotated[int, Field(ge=0, lt=2**31)]], Field(min_length=1)]


class EmbeddingRequest(_Asked):
    """POST /v1/embeddings. Tokens are the model's own, without those that it puts around a text."""

    model: str = Field(min_length=1, max_length=256)
    input: (
        Text
        | Tokens
        | Annotated[list[Text], Field(min_length=1, max_length=MOST_INPUTS)]
        | Annotated[list[Tokens], Field(min_length=1, max_length=MOST_INPUTS)]
    )
    encoding_format: Literal["float", "base64"] | None = None
    dimensions: Annotated[int, Field(ge=1, le=1_000_000)] | None = None
    user: Annotated[str, Field(max_length=512)] | None = None

    @property
    def inputs(self) -> Sequence[Input]:
        if isinstance(self.input, str):
            return [self.input]
        one = isinstance(self.input[0], int)
        return cast("Sequence[Input]", [self.input] if one else self.input)


Completed = TypeVar("Completed", bound=ChatRequest | CompletionRequest)
Asked = TypeVar("Asked", bound=_Asked)


def parse(kind: type[Asked], body: bytes) -> Asked:
    """Raises `ApiError` that names the field, and quotes nothing."""
    try:
        return kind.model_validate_json(body)
    except ValidationError as exc:
        raise _explained(exc) from None


def _explained(exc: ValidationError) -> ApiError:
    first = exc.errors(include_url=False, include_context=False, include_input=False)[0]
    where = ".".join(str(part) for part in first["loc"])
    if first["type"] == "json_invalid":
        return ApiError(
            400, "The body is not JSON that we can read: it must be UTF-8, complete, and not too deep."
        )
    if first["type"] == "extra_forbidden":
        return ApiError(400, "Unknown or unsupported parameter.", code="unknown_parameter", param=_short(where))
    return ApiError(400, f"{first['msg']}.", code="invalid_value", param=_short(where) or None)


def _short(where: str) -> str:
    """The name of a field may be anything that was sent."""
    printable = "".join(letter for letter in where if letter.isprintable())
    return printable[:128]


def _text(content: str | list[TextPart]) -> str:
    return content if isinstance(content, str) else "\n".join(part.text for part in content)
