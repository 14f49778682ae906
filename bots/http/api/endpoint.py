"""One request from its first byte to its last.

What ends it early: its sender closes the connection, its key is revoked, or its time is over. In each case the
completion is left, which frees its place in the engine at once.
"""

import asyncio
import json
import logging
from collections.abc import Callable, Collection
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Generic

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Receive, Scope, Send

from bots.http.api.access import Access, Visitor
from bots.http.api.answers import Answer, Form
from bots.http.api.errors import ApiError, as_api_error, wrong_key
from bots.http.api.models import Models
from bots.http.api.requests import Asked, parse
from core.engine.engine import Caller, Engine, Params
from core.errors import CoreError
from core.traces import trace

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """Seconds that a body may take to come, and an answer to be made, its wait in line included."""

    body_seconds: float = 30.0
    answer_seconds: float = 1200.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """What the endpoints share. `params` are those of a request that names none."""

    engine: Engine
    access: Access
    models: Models
    params: Params
    limits: Limits = field(default_factory=Limits)


class Completions(Generic[Asked]):
    """An ASGI application that completes what is asked for as `kind`, in the form that `form` makes."""

    def __init__(self, service: Service, kind: type[Asked], form: Callable[[], Form]) -> None:
        self._service = service
        self._kind: type[Asked] = kind
        self._form = form

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        reply = _Reply(scope, receive, send)
        try:
            visitor = await self._service.access.admit(scope)
            body = await self._body(request)
            asked = parse(self._kind, body)
            visitor = await self._service.access.count(visitor)
        except ClientDisconnect:
            return
        except CoreError as exc:
            await reply.fail(exc)
            return
        reply.headers.update(visitor.headers)
        authorization = request.headers.get("authorization")
        async with asyncio.TaskGroup() as group:
            answer = group.create_task(self._answer(asked, visitor, reply), name="answer")
            gone = group.create_task(_gone(receive), name="gone")
            revoked = group.create_task(self._service.access.until_revoked(visitor, authorization), name="revoked")
            tasks = {answer, gone, revoked}
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            was_revoked = revoked.done() and not answer.done()
            for task in tasks:
                task.cancel()
        if was_revoked:
            await reply.fail(wrong_key("The key was revoked."))

    async def _body(self, request: Request) -> bytes:
        try:
            async with asyncio.timeout(self._service.limits.body_seconds):
                return await request.body()
        except TimeoutError:
            raise ApiError(408, "The body took too long to come.", headers={"connection": "close"}) from None

    async def _answer(self, asked: Asked, visitor: Visitor, reply: "_Reply") -> None:
        service = self._service
        try:
            params = asked.params(service.params)
            messages = service.models.messages(asked.model, asked.as_messages())
            answer = Answer(
                self._form(),
                model=asked.model,
                choices=params.candidates,
                fingerprint=service.engine.fingerprint,
                with_logprobs=params.logprobs is not None,
            )
            try:
                async with (
                    asyncio.timeout(service.limits.answer_seconds),
                    service.engine.generate(
                        messages, params, Caller(visitor.user, asked.user or "")
                    ) as completion,
                ):
                    if asked.stream:
                        await reply.stream(answer.openings())
                    async for delta in completion:
                        chunks = list(answer.add(delta, completion.spell))
                        if asked.stream:
                            await reply.stream(chunks)
            finally:
                usage = answer.usage
                spent = usage["total_tokens"] if usage else service.engine.count(messages) + answer.made
                await service.access.charge(visitor, spent)
            if not asked.stream:
                await reply.send(JSONResponse(answer.complete()))
            else:
                await reply.stream([answer.usage_chunk()] if asked.wants_usage else [], last=True)
        except TimeoutError:
            await reply.fail(ApiError(503, "The answer took too long.", kind="server_error"))
        except CoreError as exc:
            await reply.fail(exc)
        except Exception as exc:  # noqa: BLE001 - the request's edge
            log.error("a request of the API failed\n%s", trace(exc))  # noqa: TRY400
            await reply.fail(exc)


class Listing:
    """GET: what `describe` says of the path's parameters."""

    def __init__(self, access: Access, describe: Callable[..., dict[str, Any]]) -> None:
        self._access = access
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = _Reply(scope, receive, send)
        try:
            await self._access.admit(scope)
            await reply.send(JSONResponse(self._describe(**scope["path_params"])))
        except CoreError as exc:
            await reply.fail(exc)


class NotHere:
    """What is none of ours, in the API's own form."""

    def __init__(self, methods: Collection[str] = ()) -> None:
        self._allowed = ", ".join(methods)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if self._allowed:
            error = ApiError(405, f"Only {self._allowed} is served here.", headers={"allow": self._allowed})
        else:
            error = ApiError(404, "There is nothing here; GET /openapi.json tells what there is.")
        await _Reply(scope, receive, send).fail(error)


class _Reply:
    """What is sent, once and in one form."""

    def __init__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self.headers: dict[str, str] = {}
        self._scope = scope
        self._receive = receive
        self._send = send
        self._state: str = "unsent"

    async def send(self, response: Response) -> None:
        if self._state != "unsent":
            return
        self._state = "sent"
        response.headers.update(self.headers)
        await response(self._scope, self._receive, self._send)

    async def stream(self, events: Any, *, last: bool = False) -> None:
        """Server-sent events, as many as there are, and the mark of the end."""
        if self._state == "sent":
            return
        if self._state == "unsent":
            self._state = "streaming"
            await self._send({"type": "http.response.start", "status": 200, "headers": self._stream_headers()})
        lines = [f"data: {json.dumps(event, ensure_ascii=False, separators=(',', ':'))}\n\n" for event in events]
        if last:
            lines.append("data: [DONE]\n\n")
            self._state = "sent"
        if lines:
            body = "".join(lines).encode(errors="replace")
            await self._send({"type": "http.response.body", "body": body, "more_body": not last})

    async def fail(self, error: Exception) -> None:
        """Tell of an error: by the status, or in the stream where that is sent already."""
        told = as_api_error(error)
        if self._state == "streaming":
            with suppress(OSError):
                await self.stream([told.body], last=True)
        else:
            await self.send(told.response())

    def _stream_headers(self) -> list[tuple[bytes, bytes]]:
        headers = {
            "content-type": "text/event-stream; charset=utf-8",
            "cache-control": "no-cache",
            "x-accel-buffering": "no",  # nginx would hold the stream back
            **self.headers,
        }
        return [(name.encode(), value.encode()) for name, value in headers.items()]


async def _gone(receive: Receive) -> None:
    """Return when the sender has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
