"""An engine on a server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama, OpenAI itself.

Batching, chat template and tokenizer are the server's. This side knows no tokens: it bounds a prompt's length
from above, and leaves the last word to the server.
"""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import aclosing, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any, NoReturn

import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types.chat import ChatCompletionChunk, ChatCompletionMessageParam

from core.engine.engine import Delta, Message, Params
from core.errors import EngineError, EngineStopped, Overloaded, PromptTooLong

# What servers say instead of OpenAI's code `context_length_exceeded`: vLLM names the "maximum context length",
# llama.cpp the "context size", others the "context window".
_TOO_LONG = re.compile(r"context[ _-]?(length|size|window)", re.IGNORECASE)

_AROUND_A_MESSAGE = 16  # tokens that a chat template puts around a message: ChatML 5, Llama 3's 5, Harmony 8
_AROUND_A_CHAT = 64  # and around them all, with a short default system prompt


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """`url` is the API's root, as a rule ending in /v1. `context` is what the server's model reads at most.

    `bytes_per_token` turns UTF-8 bytes into tokens: 1 is safe for every tokenizer, but English text has about 4,
    so that memory reaches less far back than it could. `max_running` requests are sent at once, and one more is
    refused. Times are seconds: to connect, and until the next piece of an answer must have come.
    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    context: int = 8192
    bytes_per_token: float = 1.0
    max_running: int = 64
    connect_timeout: float = 10.0
    read_timeout: float = 120.0


class RemoteEngine:
    """A model on another machine. It cannot go on with an unfinished answer: few servers can."""

    fingerprint = ""
    continues = False

    def __init__(self, settings: RemoteSettings) -> None:
        self.name = settings.model
        self.context = settings.context
        self._settings = settings
        self._client = AsyncOpenAI(
            base_url=settings.url,
            api_key=settings.api_key or "none",  # the SDK demands one; servers without keys ignore it
            timeout=openai.Timeout(settings.read_timeout, connect=settings.connect_timeout),
            max_retries=1,
        )
        self._waiting: set[asyncio.Timeout] = set()
        self._running = 0
        self._stopped = False

    def count(self, messages: Sequence[Message]) -> int:
        """An upper bound: no tokenizer makes more tokens of a text than it has bytes."""
        text = sum(len(message.text.encode()) for message in messages)
        return int(text / self._settings.bytes_per_token) + _AROUND_A_MESSAGE * len(messages) + _AROUND_A_CHAT

    @asynccontextmanager
    async def generate(self, messages: Sequence[Message], params: Params) -> AsyncIterator[AsyncIterator[Delta]]:
        """See `Engine.generate`. Enters when the server begins to answer; leaving closes the connection."""
        if self._running >= self._settings.max_running:
            raise Overloaded(f"{self._running} requests are with the model server")
        self._running += 1
        try:
            async with self._bounded():
                stream = await self._ask(messages, params)
            async with stream, aclosing(self._deltas(stream)) as deltas:
                yield deltas
        finally:
            self._running -= 1

    async def run(self) -> None:
        """Until cancelled, which ends every request at once and for good: a stopped engine stays stopped."""
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stopped = True
            now = asyncio.get_running_loop().time()
            for waiting in self._waiting:
                waiting.reschedule(now)
            await self._client.close()

    async def _ask(self, messages: Sequence[Message], params: Params) -> AsyncStream[ChatCompletionChunk]:
        return await self._client.chat.completions.create(
            model=self._settings.model,
            messages=[_as_openai(message) for message in messages],
            max_tokens=params.max_tokens,
            temperature=params.temperature,
            top_p=params.top_p,
            seed=openai.omit if params.seed is None else params.seed,
            stop=list(params.stop) or openai.omit,
            extra_body=_beyond_openai(params),
            stream=True,
            stream_options={"include_usage": True},
        )

    async def _deltas(self, stream: AsyncStream[ChatCompletionChunk]) -> AsyncGenerator[Delta]:
        finished = False
        while not finished:
            async with self._bounded():
                chunk = await anext(stream, None)
            if chunk is None:
                raise EngineError("the model server ended its answer in the middle")
            for choice in chunk.choices[:1]:
                finished = choice.finish_reason is not None
                text = choice.delta.content or ""
                if finished:
                    yield Delta(text, finish="length" if choice.finish_reason == "length" else "stop")
                elif text:
                    yield Delta(text)

    @asynccontextmanager
    async def _bounded(self) -> AsyncIterator[None]:
        """Bounds one wait for the server, ends it when the engine stops, and translates what the SDK raises."""
        if self._stopped:
            raise EngineStopped("the connection to the model server is closed")
        try:
            async with asyncio.timeout(self._settings.connect_timeout + self._settings.read_timeout) as waiting:
                self._waiting.add(waiting)
                try:
                    with _translated():
                        yield
                finally:
                    self._waiting.discard(waiting)
        except TimeoutError:
            if self._stopped:
                raise EngineStopped("the connection to the model server was closed") from None
            raise EngineError("the model server is silent") from None


@contextmanager
def _translated() -> Iterator[None]:
    """The SDK's errors hold what the server said, and a server may repeat the prompt: they are not chained."""
    try:
        yield
    except openai.APIStatusError as error:
        _refuse(error)
    except openai.APIConnectionError as error:
        raise EngineError(f"the model server cannot be reached: {type(error).__name__}") from None
    except openai.APIError:
        raise EngineError("the model server failed while it answered") from None
    except ValueError:
        raise EngineError("the model server's answer is not what the API promises") from None


def _refuse(error: openai.APIStatusError) -> NoReturn:
    status = error.status_code
    if status == 429:
        raise Overloaded("the model server has too many requests") from None
    if error.code == "context_length_exceeded" or (status in (400, 413, 422) and _TOO_LONG.search(error.message)):
        raise PromptTooLong("the prompt is longer than the model server reads") from None
    fix = {401: ": check model.api_key", 403: ": check model.api_key", 404: ": check model.url and model.name"}
    raise EngineError(f"the model server answered with status {status}{fix.get(status, '')}") from None


def _as_openai(message: Message) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.text}
        case "user":
            return {"role": "user", "content": message.text}
        case "assistant":
            return {"role": "assistant", "content": message.text}


def _beyond_openai(params: Params) -> dict[str, Any]:
    """Only what differs from the default: OpenAI itself refuses what it does not know."""
    extra: dict[str, Any] = {}
    if params.top_k:
        extra["top_k"] = params.top_k
    if params.repetition_penalty != 1.0:
        extra["repetition_penalty"] = params.repetition_penalty
    return extra
