"""An engine on a server that speaks OpenAI's chat completions: vLLM, llama.cpp, Ollama, OpenAI itself. A plain
text is gone on with by its completions, where it has them.

Batching, chat template and tokenizer are the server's. This side knows no tokens: it bounds a prompt's length
from above, and leaves the last word to the server.

The official SDK asks again, with growing pauses, when the server cannot be reached or answers with 408, 409, 429
or 5xx. It does so until the server has answered with 200, and never after: what begins an answer is not asked
for twice.
"""

import asyncio
import base64
import json
import logging
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any

import openai
from openai import AsyncOpenAI, AsyncStream
from openai.types import Completion as TextCompletion
from openai.types.chat import (
    ChatCompletionChunk,
    ChatCompletionContentPartImageParam,
    ChatCompletionContentPartTextParam,
    ChatCompletionMessageFunctionToolCallParam,
    ChatCompletionMessageParam,
)
from openai.types.chat.chat_completion_message_function_tool_call_param import Function

from core.engine.chunks import Chunks, TextChunks
from core.engine.engine import NOBODY, Call, Caller, Completion, Delta, Load, Message, Params, Picture
from core.engine.refusals import not_taken_by, retry_after, translated
from core.errors import EngineError, EngineStopped, InvalidParams, Overloaded

log = logging.getLogger(__name__)

_AROUND_A_MESSAGE = 16  # tokens that a chat template puts around a message: ChatML 5, Llama 3's 5, Harmony 8
_AROUND_A_CHAT = 64  # and around them all, with a short default system prompt
_A_PICTURE = 800  # tokens, about: 765 for OpenAI's at 1024 x 1024; other models differ
_NOT_THERE = {404, 405, 501}  # of a path; OpenAI says 404 also of a model that completes chats only
_TAIL_TIMEOUT = 2.0  # seconds for what a server says after the last word

Stream = AsyncStream[ChatCompletionChunk] | AsyncStream[TextCompletion]
Bounded = Callable[[float], AbstractAsyncContextManager[None]]


@dataclass(frozen=True, slots=True, kw_only=True)
class RemoteSettings:
    """`url` is the API's root, as a rule ending in /v1. `context` is what the server's model reads at most.

    `bytes_per_token` turns UTF-8 bytes into tokens: 1 is safe for every tokenizer, but English text has about 4,
    so that memory reaches less far back than it could. `sees`: the model takes pictures. `tools`: it can call
    some. `max_running` requests are sent at once, and one more is refused. `retries` is how often one is sent
    again; a server that asks for a pause longer than `longest_pause` gets none. Times are seconds: to connect,
    until an answer has begun (retries included), and until the next piece of it must have come.
    """

    url: str
    model: str
    api_key: str = field(default="", repr=False)
    context: int = 8192
    bytes_per_token: float = 1.0
    sees: bool = False
    tools: bool = False
    max_running: int = 64
    retries: int = 2
    longest_pause: float = 10.0
    connect_timeout: float = 10.0
    first_token_timeout: float = 120.0
    token_timeout: float = 60.0


class RemoteEngine:
    """A model on another machine. It cannot go on with an unfinished answer: few servers can."""

    fingerprint = ""
    continues = False

    def __init__(self, settings: RemoteSettings) -> None:
        self.name = settings.model
        self.context = settings.context
        self.sees = settings.sees
        self.tools = settings.tools
        self._settings = settings
        self._client = AsyncOpenAI(
            base_url=settings.url,
            api_key=settings.api_key or "none",  # the SDK demands one; servers without keys ignore it
            timeout=openai.Timeout(None, connect=settings.connect_timeout),  # the other waits are bounded here
            max_retries=settings.retries,
            http_client=openai.DefaultAsyncHttpxClient(event_hooks={"response": [self._refuse_a_long_pause]}),
        )
        self._not_taken: dict[bool, frozenset[str]] = {}  # of plain texts, and of chats
        self._waiting: set[asyncio.Timeout] = set()
        self._running = 0
        self._stopped = False
        self._alive = False

    @property
    def load(self) -> Load:
        return Load(alive=self._alive, running=self._running, most_running=self._settings.max_running)

    def count(self, messages: Sequence[Message]) -> int:
        """An upper bound of words: no tokenizer makes more tokens of a text than it has bytes."""
        text = sum(len(message.whole.encode()) for message in messages)
        text += sum(len(call.name) + len(call.arguments.encode()) for each in messages for call in each.calls)
        pictures = _A_PICTURE * sum(len(message.pictures) for message in messages) if self.sees else 0
        around = _AROUND_A_MESSAGE * len(messages) + _AROUND_A_CHAT
        return int(text / self._settings.bytes_per_token) + pictures + around

    @asynccontextmanager
    async def generate(
        self,
        messages: Sequence[Message],
        params: Params,
        caller: Caller = NOBODY,  # noqa: ARG002 who is talking is not the server's business
    ) -> AsyncIterator[Completion]:
        """See `Engine.generate`. Enters when the server has taken the request; leaving closes the connection."""
        if not messages:
            raise InvalidParams("the prompt is empty")
        if self._running >= self._settings.max_running:
            raise Overloaded(f"{self._running} requests are with the model server")
        begin_until = asyncio.get_running_loop().time() + self._settings.first_token_timeout
        self._running += 1
        try:
            async with self._bounded(begin_until):
                stream = await self._ask(messages, params)
            async with stream:
                chunks = (TextChunks if _is_plain(messages) else Chunks)(params.candidates)
                yield _Answer(stream, chunks, self._bounded, begin_until, self._settings.token_timeout)
        finally:
            self._running -= 1

    async def run(self) -> None:
        """Until cancelled, which ends every request at once and for good: a stopped engine stays stopped."""
        self._alive = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._stopped, self._alive = True, False
            now = asyncio.get_running_loop().time()
            for waiting in self._waiting:
                with suppress(RuntimeError):  # its time is just over
                    waiting.reschedule(now)
            await self._client.close()

    async def _ask(self, messages: Sequence[Message], params: Params) -> Stream:
        """What the server does not take is left out; each round leaves out more, and what worked is remembered."""
        plain = _is_plain(messages)
        known = not_taken = self._not_taken.get(plain, frozenset())
        while True:
            try:
                stream = await self._create(messages, _body(params, not_taken, plain=plain), plain=plain)
            except (openai.BadRequestError, openai.UnprocessableEntityError) as error:
                if not (more := not_taken_by(error) - not_taken):
                    raise
                not_taken |= more
            else:
                if not_taken - known:
                    log.warning("%s: the server does not take %s", self.name, ", ".join(sorted(not_taken)))
                self._not_taken[plain] = self._not_taken.get(plain, frozenset()) | not_taken
                return stream

    async def _create(self, messages: Sequence[Message], body: dict[str, Any], *, plain: bool) -> Stream:
        model = self._settings.model
        if not plain:
            chat = [_as_openai(message, sees=self.sees) for message in messages]
            return await self._client.chat.completions.create(
                model=model, messages=chat, stream=True, extra_body=body
            )
        try:
            return await self._client.completions.create(
                model=model, prompt=messages[0].text, stream=True, extra_body=body
            )
        except openai.APIStatusError as error:
            if error.status_code not in _NOT_THERE:
                raise
            raise InvalidParams("the model server completes chats only with this model: send messages") from None

    async def _refuse_a_long_pause(self, response: Any) -> None:
        """The SDK would wait for up to two minutes; it can be told by a header that some servers send."""
        if response.status_code >= 400 and retry_after(response.headers) > self._settings.longest_pause:
            response.headers["x-should-retry"] = "false"

    @asynccontextmanager
    async def _bounded(self, until: float) -> AsyncIterator[None]:
        """Bounds a wait for the server, ends it when the engine stops, and translates what the SDK raises."""
        if self._stopped:
            raise EngineStopped("the connection to the model server is closed")
        try:
            async with asyncio.timeout_at(until) as waiting:
                self._waiting.add(waiting)
                try:
                    with translated():
                        yield
                finally:
                    self._waiting.discard(waiting)
        except TimeoutError:
            if self._stopped:
                raise EngineStopped("the connection to the model server was closed") from None
            raise EngineError("the model server is silent") from None


class _Answer:
    """A completion that a server writes. How many it serves before this one it does not tell."""

    def __init__(
        self,
        stream: AsyncIterator[ChatCompletionChunk | TextCompletion],
        chunks: Chunks,
        bounded: Bounded,
        begin_until: float,
        token_timeout: float,
    ) -> None:
        self.place_in_line = 1
        self.estimate: float | None = None
        self._stream = stream
        self._chunks = chunks
        self._bounded = bounded
        self._until = begin_until
        self._token_timeout = token_timeout
        self._over = False

    def spell(self, token_id: int) -> bytes:
        return self._chunks.spell(token_id)

    def __aiter__(self) -> "_Answer":
        return self

    async def __anext__(self) -> Delta:
        while not self._chunks.deltas:
            if self._over:
                raise StopAsyncIteration
            await self._read()
        self.place_in_line, self.estimate = 0, 0.0
        return self._chunks.deltas.popleft()

    async def _read(self) -> None:
        async with self._bounded(self._until):
            if (chunk := await anext(self._stream, None)) is None:
                raise EngineError("the model server ended its answer in the middle")
            self._chunks.add(chunk)
        self._until = asyncio.get_running_loop().time() + self._token_timeout
        if self._chunks.complete:
            await self._read_to_the_end()
            self._chunks.close()
            self._over = True

    async def _read_to_the_end(self) -> None:
        """The usage comes last, and a connection that was read to its end can be used again. Neither is worth an
        error: all words are here."""
        try:
            async with self._bounded(asyncio.get_running_loop().time() + _TAIL_TIMEOUT):
                async for chunk in self._stream:
                    self._chunks.add(chunk)
        except EngineError as error:
            log.info("the end of an answer: %s", error)


def _is_plain(messages: Sequence[Message]) -> bool:
    return len(messages) == 1 and messages[0].role == "plain"


def _as_openai(message: Message, *, sees: bool) -> ChatCompletionMessageParam:
    match message.role:
        case "system":
            return {"role": "system", "content": message.text}
        case "user" if message.pictures and sees:
            words: ChatCompletionContentPartTextParam = {"type": "text", "text": message.whole}
            return {"role": "user", "content": [words, *map(_image, message.pictures)]}
        case "user":
            return {"role": "user", "content": message.whole}
        case "assistant" if message.calls:
            return {"role": "assistant", "content": message.text, "tool_calls": list(map(_call, message.calls))}
        case "assistant":
            return {"role": "assistant", "content": message.text}
        case "tool":
            return {"role": "tool", "content": message.text, "tool_call_id": message.call}
        case "plain":
            raise InvalidParams("a plain text is alone in its prompt")


def _call(call: Call) -> ChatCompletionMessageFunctionToolCallParam:
    # vLLM reads them, and refuses the whole prompt where a model has not kept to JSON.
    arguments = call.arguments if _is_object(call.arguments) else "{}"
    function: Function = {"name": call.name, "arguments": arguments}
    return {"id": call.id, "type": "function", "function": function}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (RecursionError, ValueError):
        return False


def _image(picture: Picture) -> ChatCompletionContentPartImageParam:
    data = base64.b64encode(picture.data).decode()
    return {"type": "image_url", "image_url": {"url": f"data:{picture.type};base64,{data}"}}


def _body(params: Params, not_taken: frozenset[str], *, plain: bool) -> dict[str, Any]:
    """What differs from the API's own defaults: a server may refuse what it does not know."""
    chosen: dict[str, Any] = {
        "max_tokens": params.max_tokens,
        "temperature": params.temperature,
        "top_p": params.top_p,
        "stream_options": {"include_usage": True},
    }
    if params.top_k:
        chosen["top_k"] = params.top_k
    if params.min_p:
        chosen["min_p"] = params.min_p
    if params.repetition_penalty != 1.0:
        chosen["repetition_penalty"] = params.repetition_penalty
    if params.seed is not None:
        chosen["seed"] = params.seed
    if params.stop:
        chosen["stop"] = list(params.stop)
    if params.candidates > 1:
        chosen["n"] = params.candidates
    if params.tools:
        chosen["tools"] = [
            {
                "type": "function",
                "function": {"name": tool.name, "description": tool.about, "parameters": tool.parameters},
            }
            for tool in params.tools
        ]
    if params.logprobs is not None:
        chosen |= {"logprobs": params.logprobs} if plain else {"logprobs": True, "top_logprobs": params.logprobs}
    body = {name: value for name, value in chosen.items() if name not in not_taken}
    if "max_tokens" in not_taken and not plain:
        body["max_completion_tokens"] = params.max_tokens  # its name since OpenAI's reasoning models
    return body
