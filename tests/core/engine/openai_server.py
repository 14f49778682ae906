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
    "cut",
    "drop",
    "429",
    "500",
    "401",
    "too long",
    "too long for vLLM",
    "error in the stream",
    "page",
    "silent",
]

_KNOWN = {"model", "messages", "max_tokens", "temperature", "top_p", "seed", "stop", "stream", "stream_options"}
_BEYOND = {"top_k", "repetition_penalty"}  # what vLLM takes besides


class OpenAIServer:
    """`url` is the API's root. `behaviour` is how the next requests are answered; `bodies` is what was asked."""

    key = "sk-test-key"
    model = "loopback"

    def __init__(self) -> None:
        self.url = ""
        self.behaviour: Behaviour = "answer"
        self.bodies: list[dict[str, Any]] = []
        self.left = asyncio.Event()  # somebody closed the connection before the answer was whole
        self.asked = asyncio.Event()

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
        self.asked.set()
        if request.headers.get("Authorization") != f"Bearer {self.key}" or self.behaviour == "401":
            return _error(401, "Incorrect API key provided", "invalid_api_key")
        if unknown := set(body) - _KNOWN - _BEYOND:
            return _error(400, f"Unrecognized request argument supplied: {unknown}", None)
        match self.behaviour:
            case "429":
                return _error(429, "Rate limit reached", "rate_limit_exceeded")
            case "500":
                return _error(500, f"Cannot digest {body['messages']}", None)
            case "too long":
                return _error(400, "Too long", "context_length_exceeded")
            case "too long for vLLM":
                return _error(400, "This model's maximum context length is 64 tokens. However, ...", 400)
            case "page":
                return web.Response(text="<html>It works!</html>", content_type="text/html")
            case "drop":
                assert request.transport is not None
                request.transport.abort()
        try:
            return await self._stream(request, body)
        except (asyncio.CancelledError, ConnectionError):
            self.left.set()
            raise

    async def _stream(self, request: web.Request, body: dict[str, Any]) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "text/event-stream"})
        await response.prepare(request)

        async def say(data: Any) -> None:
            await response.write(f"data: {json.dumps(data)}\n\n".encode())

        words = re.findall(r"\S+\s*", "You said: " + body["messages"][-1]["content"])
        told = words[: body["max_tokens"]]
        await say(_chunk({"role": "assistant", "content": ""}))
        for i, word in enumerate(told):
            if i == 2 and self.behaviour == "cut":
                assert request.transport is not None
                request.transport.abort()
            if i == 2 and self.behaviour == "silent":
                await asyncio.Event().wait()
            if i == 2 and self.behaviour == "error in the stream":
                await say({"error": {"message": f"lost {body['messages']}", "type": "server_error", "code": 500}})
                return response
            await say(_chunk({"content": word}))
        await say(_chunk({}, finish="length" if len(told) < len(words) else "stop"))
        if body.get("stream_options", {}).get("include_usage"):
            usage = {"prompt_tokens": 9, "completion_tokens": len(told), "total_tokens": 9 + len(told)}
            await say(_chunk(None, usage=usage))
        await response.write(b"data: [DONE]\n\n")
        return response


def _chunk(delta: dict[str, str] | None, *, finish: str | None = None, usage: Any = None) -> dict[str, Any]:
    choices = [] if delta is None else [{"index": 0, "delta": delta, "finish_reason": finish}]
    return {
        "id": "chatcmpl-1",
        "object": "chat.completion.chunk",
        "created": 1,
        "model": OpenAIServer.model,
        "choices": choices,
        "usage": usage,
    }


def _error(status: int, message: str, code: str | int | None) -> web.Response:
    body = {"error": {"message": message, "type": "invalid_request_error", "param": None, "code": code}}
    return web.json_response(body, status=status, headers={"retry-after-ms": "1"})
