"""A model server on loopback that speaks OpenAI's chat completions and can misbehave.

It answers like the scripted engine, a word a chunk, and refuses bodies that OpenAI would refuse.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator
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
_KNOWN |= {"n", "logprobs", "top_logprobs", "stream", "stream_options"}
_BEYOND = {"top_k", "min_p", "repetition_penalty"}  # what vLLM takes besides


class OpenAIServer:
    """`url` is the API's root. `behaviour` is how requests are answered once `first` is empty: each entry is for
    one request. `bodies` is what was asked, over so many `connections`."""

    key = "sk-test-key"
    model = "loopback"

    def __init__(self) -> None:
        self.url = ""
        self.behaviour: Behaviour = "answer"
        self.first: list[Behaviour] = []
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
        words = re.findall(r"\S+\s*", "You said: " + body["messages"][-1]["content"])
        told = words[: body.get("max_tokens", body.get("max_completion_tokens"))]
        for index in choices:
            await say(_chunk(index, {"role": "assistant", "content": ""}))
        if behaviour == "cut at once":
            drop()
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

    def _error(self, status: int, message: str, code: str | int | None) -> web.Response:
        body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
        return web.json_response(body, status=status, headers=self.retry_after)


def _chunk(
    index: int | None,
    delta: dict[str, str] | None = None,
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
