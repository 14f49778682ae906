"""A model server on loopback that speaks OpenAI's API: completions of chats and texts, and embeddings. It can
misbehave.

It answers like the scripted engine, a word a chunk, and refuses bodies that OpenAI would refuse.
"""

import asyncio
import base64
import json
import re
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Any, Literal

from aiohttp import web

Behaviour = Literal[
    "answer",
    "hold",  # says nothing until `go`
    "mute",  # takes the request and does not even say that it will answer
    "silent",  # says nothing more after two words
    "cut",  # drops the connection after two words
    "cut at once",  # ... before the first one
    "drop",  # ... without any answer
    "abort",  # gives up after two words and says so
    "error in the stream",
    "one candidate",  # whatever is asked for
    "no usage",
    "no end",  # keeps the connection after the last word
    "page",
    "nonsense",
    "429",
    "500",
    "503",
    "401",
    "quota",
    "too long",
    "too long for vLLM",
]

_KNOWN = {"model", "messages", "max_tokens", "max_completion_tokens", "temperature", "top_p", "seed", "stop"}
_KNOWN |= {"n", "logprobs", "top_logprobs", "stream", "stream_options", "tools"}
_KNOWN_OF_TEXT = _KNOWN - {"messages", "max_completion_tokens", "top_logprobs", "tools"} | {"prompt"}
_BEYOND = {"top_k", "min_p", "repetition_penalty"}  # what vLLM takes besides


class OpenAIServer:
    """`url` is the API's root. Where tools are offered, each entry of `calls` is what one answer calls of them:
    their names and arguments; an empty one says something instead. `behaviour` is how requests are answered once
    `first` is empty: each entry is for one request. `bodies` is what was asked, over so many `connections`."""

    key = "sk-test-key"
    model = "loopback"
    completes_texts = True
    embeds: Literal["base64", "numbers", "too few"] = "base64"

    def __init__(self) -> None:
        self.url = ""
        self.behaviour: Behaviour = "answer"
        self.first: list[Behaviour] = []
        self.calls: list[list[tuple[str, str]]] = []
        self.retry_after = {"retry-after-ms": "1"}
        self.not_taken: set[str] = set()
        self.bodies: list[dict[str, Any]] = []
        self.connections: set[object] = set()
        self.left = asyncio.Event()  # somebody closed the connection before the answer was whole
        self.asked = asyncio.Event()
        self.go = asyncio.Event()

    @classmethod
    @asynccontextmanager
    async def serve(cls) -> AsyncIterator["OpenAIServer"]:
        server = cls()
        app = web.Application()
        app.router.add_post("/v1/chat/completions", server._complete)
        app.router.add_post("/v1/completions", server._complete_text)
        app.router.add_post("/v1/embeddings", server._embed)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1)
        await runner.setup()
        try:
            site = web.TCPSite(runner, "127.0.0.1", 0)
            await site.start()
            host, port = runner.addresses[0]
            server.url = f"http://{host}:{port}/v1"
            yield server
        finally:
            await runner.cleanup()

    async def _complete(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        self.connections.add(request.transport)
        self.asked.set()
        behaviour = self.first.pop(0) if self.first else self.behaviour
        if request.headers.get("Authorization") != f"Bearer {self.key}" or behaviour == "401":
            return self._error(401, "Incorrect API key provided", "invalid_api_key")
        if unknown := set(body) - (_KNOWN | _BEYOND - self.not_taken):
            return self._error(400, f"Unrecognized request argument supplied: {', '.join(unknown)}", None)
        if refused := sorted(self.not_taken & set(body)):
            return self._error(
                400, f"Unsupported parameter: '{refused[0]}' is not supported with this model.", None
            )
        # vLLM reads them, for the chat template.
        calls = [call for message in body["messages"] for call in message.get("tool_calls", ())]
        if not all(_is_object(call["function"]["arguments"]) for call in calls):
            return self._error(400, "Expecting value: line 1 column 1 (char 0)", None)
        match behaviour:
            case "429":
                return self._error(429, "Rate limit reached", "rate_limit_exceeded")
            case "quota":
                return self._error(429, "You exceeded your current quota", "insufficient_quota")
            case "500" | "503":
                return self._error(int(behaviour), f"Cannot digest {body['messages']}", None)
            case "too long":
                return self._error(400, "Too long", "context_length_exceeded")
            case "too long for vLLM":
                return self._error(400, "This model's maximum context length is 64 tokens. However, ...", 400)
            case "page":
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            case "drop":
                assert request.transport is not None
                request.transport.abort()
        try:
            if behaviour == "mute":
                await asyncio.Event().wait()
            return await self._stream(request, body, behaviour)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    async def _complete_text(self, request: web.Request) -> web.StreamResponse:
        body = await request.json()
        self.bodies.append(body)
        if not self.completes_texts:
            return self._error(404, "This is a chat model and not supported in the v1/completions endpoint.", None)
        if unknown := set(body) - (_KNOWN_OF_TEXT | _BEYOND - self.not_taken):
            return self._error(400, f"Unrecognized request argument supplied: {', '.join(unknown)}", None)
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def say(choices: list[dict[str, Any]], usage: Any = None) -> None:
            head = {"id": "cmpl-1", "object": "text_completion", "created": 1, "model": self.model}
            await response.write(f"data: {json.dumps({**head, 'choices': choices, 'usage': usage})}\n\n".encode())

        words = re.findall(r"\S+\s*", "You said: " + body["prompt"])
        told, choices = words[: body["max_tokens"]], range(body.get("n", 1))
        for word in told:
            top = dict([(word, -0.25), ("else", -2.5)][: body.get("logprobs", 0)])
            logprobs = {"tokens": [word], "token_logprobs": [-0.25], "top_logprobs": [top], "text_offset": [0]}
            for index in choices:
                one = {"index": index, "text": word, "finish_reason": None}
                await say([{**one, "logprobs": logprobs if "logprobs" in body else None}])
        finish = "length" if len(told) < len(words) else "stop"
        for index in choices:
            await say([{"index": index, "text": "", "finish_reason": finish, "logprobs": None}])
        made = len(told) * len(choices)
        await say([], {"prompt_tokens": 9, "completion_tokens": made, "total_tokens": 9 + made})
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _embed(self, request: web.Request) -> web.StreamResponse:
        """Vectors of two numbers: the length of an input, and its half."""
        body = await request.json()
        self.bodies.append(body)
        match self.first.pop(0) if self.first else self.behaviour:
            case "429":
                return self._error(429, "Rate limit reached", "rate_limit_exceeded")
            case "401":
                return self._error(401, f"Incorrect API key provided: {self.key}", "invalid_api_key")
            case "too long":
                return self._error(400, f"{body['input'][0]} is too long", "context_length_exceeded")
            case "mute":
                await asyncio.Event().wait()
        if body["model"] != self.model:
            return self._error(404, f"The model {body['model']} does not exist", "model_not_found")
        vectors = [[len(each), len(each) / 2] for each in body["input"]]
        told: list[Any] = vectors
        if self.embeds == "base64" and body["encoding_format"] == "base64":
            told = [base64.b64encode(struct.pack("<2f", *vector)).decode() for vector in vectors]
        data = [{"object": "embedding", "index": index, "embedding": each} for index, each in enumerate(told)]
        used = sum(map(len, body["input"]))
        return web.json_response(
            {
                "object": "list",
                "data": data[:0:-1] if self.embeds == "too few" else data[::-1],
                "model": self.model,
                "usage": {"prompt_tokens": used, "total_tokens": used},
            }
        )

    async def _stream(
        self, request: web.Request, body: dict[str, Any], behaviour: Behaviour
    ) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def say(data: Any) -> None:
            await response.write(f"data: {json.dumps(data)}\n\n".encode())

        def drop() -> None:
            assert request.transport is not None
            request.transport.abort()

        if behaviour == "hold":
            await self.go.wait()
        choices = range(1 if behaviour == "one candidate" else body.get("n", 1))
        words = re.findall(r"\S+\s*", "You said: " + _words(body["messages"][-1]["content"]))
        told = words[: body.get("max_tokens", body.get("max_completion_tokens"))]
        for index in choices:
            await say(_chunk(index, {"role": "assistant", "content": ""}))
        if behaviour == "cut at once":
            drop()
        if body.get("tools") and self.calls and (calls := self.calls.pop(0)):
            await self._call(calls, say)
            return response
        for i, word in enumerate(told):
            if i == 2:
                match behaviour:
                    case "cut":
                        drop()
                    case "silent":
                        await asyncio.Event().wait()
                    case "abort":
                        await say(_chunk(0, {}, finish="abort"))
                    case "nonsense":
                        await say({"choices": [{"index": 0, "delta": "hello"}]})
                    case "error in the stream":
                        await say({"error": {"message": f"lost {body['messages']}", "type": "server_error"}})
                        return response
            for index in choices:
                logprobs = _logprobs(word, body["top_logprobs"]) if body.get("logprobs") else None
                await say(_chunk(index, {"content": word}, logprobs=logprobs))
        for index in choices:
            await say(_chunk(index, {}, finish="length" if len(told) < len(words) else "stop"))
        if behaviour == "no end":
            await asyncio.Event().wait()
        if body.get("stream_options", {}).get("include_usage") and behaviour != "no usage":
            completion = len(told) * len(choices)
            await say(
                _chunk(
                    None,
                    usage={
                        "prompt_tokens": 9,
                        "completion_tokens": completion,
                        "total_tokens": 9 + completion,
                        "prompt_tokens_details": {"cached_tokens": 4},
                    },
                )
            )
        await response.write(b"data: [DONE]\n\n")
        return response

    async def _call(self, calls: list[tuple[str, str]], say: Callable[[Any], Awaitable[None]]) -> None:
        """As OpenAI does: a call begins with its id and name, and its arguments come in pieces."""
        for index, (name, arguments) in enumerate(calls):
            begun = {"index": index, "id": f"id-{index}", "type": "function"}
            await say(_chunk(0, {"tool_calls": [{**begun, "function": {"name": name, "arguments": ""}}]}))
            for piece in re.findall(".{1,5}", arguments, re.DOTALL):
                await say(_chunk(0, {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}))
        await say(_chunk(0, {}, finish="tool_calls"))

    def _error(self, status: int, message: str, code: str | int | None) -> web.Response:
        body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
        return web.json_response(body, status=status, headers=self.retry_after)


def _words(content: str | list[dict[str, Any]]) -> str:
    """The text of a message, with or without other parts."""
    if isinstance(content, str):
        return content
    return "".join(part["text"] for part in content if part["type"] == "text")


def _chunk(
    index: int | None,
    delta: dict[str, Any] | None = None,
    *,
    finish: str | None = None,
    logprobs: Any = None,
    usage: Any = None,
) -> dict[str, Any]:
    choice = {"index": index, "delta": delta, "finish_reason": finish, "logprobs": logprobs}
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": OpenAIServer.model,
        "choices": [] if index is None else [choice],
        "usage": usage,
    }


def _logprobs(word: str, top: int) -> dict[str, Any]:
    likeliest = [(word, -0.25), ("else", -2.5)][:top]
    told = [{"token": token, "logprob": logprob, "bytes": None} for token, logprob in likeliest]
    return {"content": [{"token": word, "logprob": -0.25, "bytes": None, "top_logprobs": told}], "refusal": None}


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except ValueError:
        return False
