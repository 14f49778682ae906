"""One request from its first byte to its last.

What ends it early: its sender closes the connection, its key is revoked, or its time is over. In each case what is
made for it is left, which frees its place in the engine at once.
"""

import asyncio
import logging
from abc import ABC, abstractmethod
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Generic

from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse
from starlette.types import Receive, Scope, Send

from bots.http.api.access import Access, Visitor
from bots.http.api.errors import ApiError, wrong_key
from bots.http.api.models import Models
from bots.http.api.reply import Reply
from bots.http.api.requests import Asked, parse
from core.engine.engine import Params
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

    access: Access
    models: Models
    params: Params
    limits: Limits = field(default_factory=Limits)


class Endpoint(ABC, Generic[Asked]):
    """An ASGI application that takes a body of `kind`, and answers it."""

    def __init__(self, service: Service, kind: type[Asked]) -> None:
        self._service = service
        self._kind: type[Asked] = kind

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        reply = Reply(scope, receive, send)
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

    async def _answer(self, asked: Asked, visitor: Visitor, reply: Reply) -> None:
        try:
            async with asyncio.timeout(self._service.limits.answer_seconds):
                await self.answer(asked, visitor, reply)
        except TimeoutError:
            await reply.fail(ApiError(503, "The answer took too long.", kind="server_error"))
        except CoreError as exc:
            await reply.fail(exc)
        except Exception as exc:  # noqa: BLE001 - the request's edge
            log.error("a request of the API failed\n%s", trace(exc))  # noqa: TRY400
            await reply.fail(exc)

    @abstractmethod
    async def answer(self, asked: Asked, visitor: Visitor, reply: Reply) -> None:
        """Send what was asked for, and charge the visitor's key with it. Raises `CoreError`."""


class Listing:
    """GET: what `describe` says of the path's parameters."""

    def __init__(self, access: Access, describe: Callable[..., dict[str, Any]]) -> None:
        self._access = access
        self._describe = describe

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        reply = Reply(scope, receive, send)
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
        await Reply(scope, receive, send).fail(error)


async def _gone(receive: Receive) -> None:
    """Return when the sender has closed the connection."""
    while (await receive())["type"] != "http.disconnect":
        pass
