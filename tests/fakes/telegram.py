"""A Bot API server on loopback, with people and chats behind it. The real SDK talks to it over real sockets.

It enforces what the platform enforces: tokens, membership, blocked bots, topics, 4,096 UTF-16 units after
entities, entity bounds, "message is not modified", migrated groups, one poller for a token, privacy mode, and
flood limits where `rates` is set. Stricter than the platform in one thing: entities that Telegram would repair in
silence are refused. With the Bot API's own description in TRIALOGUE_TEST_SPECS each request's fields are checked,
and leaving the fake fails if one was wrong.

An incoming text may have any length here, so that an engine that repeats it makes long replies.
"""

import asyncio
import json
import re
import time
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Literal, Self

import aiohttp
from aiohttp import web

from tests.fakes.telegram_api import BotApi, Refusal, flood
from tests.fakes.telegram_spec import given_spec
from tests.fakes.telegram_text import Json
from tests.fakes.telegram_world import World

Fault = Literal["429", "500", "html", "garbage", "cut before", "cut after"]

_INTEGERS = {"chat_id", "message_id", "message_thread_id", "offset", "limit", "timeout", "max_connections"}
_JSON = {
    "entities",
    "media",
    "caption_entities",
    "reply_markup",
    "reply_parameters",
    "link_preview_options",
    "commands",
    "allowed_updates",
    "scope",
}


@dataclass(frozen=True)
class Call:
    """One request that came, as it was understood."""

    method: str
    params: Json


@dataclass(frozen=True)
class Sent:
    """A message that stands because `caller` asked for it, when that was, and whether its answer was cut off."""

    caller: str
    at: float
    cut: bool


class FakeTelegram(World):
    """The server. Enter it; an adapter needs its `api_base` and `token`. `api` is what the methods have done.

    While `down`, it does nothing for anybody. `sent` has the messages that it has posted for the bot, by chat and
    number; who asked is known where the bot was given `api_base` with a name of its own after it. Each has one
    bot; `others`, by their tokens, are reached at the same address.
    """

    def __init__(
        self,
        *,
        token: str = "7000:fake-token",
        username: str = "trialogue_bot",
        privacy: bool = True,
        rates: bool = False,
    ) -> None:
        super().__init__(privacy=privacy, bot=int(token.partition(":")[0]), username=username)
        self.others: dict[str, FakeTelegram] = {}
        self.api = BotApi(self, rates=rates)
        self.token = token
        self.api_base = ""
        self.journal: list[Call] = []
        self.sent: dict[tuple[int, int], Sent] = {}
        self.down = False
        self.wrong: list[str] = []
        self._faults: defaultdict[str, deque[tuple[Fault, float]]] = defaultdict(deque)
        self._held: dict[str, tuple[asyncio.Event, bool]] = {}
        self._spec = given_spec()
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        for path in (r"/bot{token:[^/]*}/{method:\w+}", r"/{caller:[\w.-]+}/bot{token:[^/]*}/{method:\w+}"):
            app.router.add_route("*", path, self._serve)
        app.router.add_get(r"/file/bot{token:[^/]*}/{path:.+}", self._hand_out)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.api_base = f"http://{host}:{port}"
        group = await self._stack.enter_async_context(asyncio.TaskGroup())
        pusher = group.create_task(self._push_for_ever(), name="webhook pusher")
        self._stack.callback(pusher.cancel)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.api.closing = True
        await self.notify()
        await self._stack.aclose()
        if kind is None:
            assert not self.wrong, f"requests that the Bot API does not know: {self.wrong}"

    def fail(self, method: str, *faults: Fault, after: float = 1.0) -> None:
        """The next calls of `method` go wrong, one for each of `faults`. `after` is what a 429 asks for."""
        self._faults[method.lower()].extend((fault, after) for fault in faults)

    def is_to_fail(self, method: str) -> bool:
        """Whether the next call of `method` goes wrong."""
        return bool(self._faults[method.lower()])

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.down = False

    @contextmanager
    def hold(self, method: str, *, only_next: bool = False) -> Iterator[None]:
        """Calls of `method` get no answer while the block lasts. What they ask for is done after it."""
        ends = asyncio.Event()
        self._held[method.lower()] = ends, only_next
        try:
            yield
        finally:
            self._held.pop(method.lower(), None)
            ends.set()

    async def _hand_out(self, request: web.Request) -> web.StreamResponse:
        if (other := self.others.get(request.match_info["token"])) is not None:
            return await other._hand_out(request)
        self._authorise(request.match_info["token"])
        return web.Response(body=self.uploads[request.match_info["path"].removeprefix("documents/")])

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.journal if call.method.lower() == method.lower()]

    async def _push_for_ever(self) -> None:
        async with aiohttp.ClientSession() as session:
            while True:
                async with self.changed:
                    await self.changed.wait_for(lambda: bool(self.api.webhook["url"] and self.pending))
                if not await self._pushed(session, self.pending[0]):
                    await asyncio.sleep(0.05)  # the platform tries again later; here that is soon
                await self.notify()

    async def _pushed(self, session: aiohttp.ClientSession, update: Json) -> bool:
        headers = {"X-Telegram-Bot-Api-Secret-Token": self.api.webhook.get("secret_token", "")}
        try:
            async with session.post(self.api.webhook["url"], json=update, headers=headers) as answer:
                status = answer.status
        except aiohttp.ClientError as exc:
            self.api.webhook |= {"last_error_date": self.now(), "last_error_message": type(exc).__name__}
            return False
        if status >= 300:
            message = f"Wrong response from the webhook: {status}"
            self.api.webhook |= {"last_error_date": self.now(), "last_error_message": message}
            return False
        if update in self.pending:
            self.pending.remove(update)
        return True

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        if (other := self.others.get(request.match_info["token"])) is not None:
            return await other._serve(request)
        method = request.match_info["method"]
        try:
            params = await _params(request)
            self.api.uploaded = await _files(request)
            self._authorise(request.match_info["token"])
            if self.down:
                return _broken(request, "html", 0.0) or web.Response(status=503)
            self.journal.append(Call(method, params))
            if self._spec is not None:
                self.wrong += self._spec.faults(method, params)
            ends, only_next = self._held.get(method.lower(), (None, False))
            if ends is not None:
                if only_next:
                    del self._held[method.lower()]
                await self.notify()
                await ends.wait()
            faults = self._faults[method.lower()]
            fault, after = faults.popleft() if faults else (None, 0.0)
            caller = request.match_info.get("caller", "")
            if fault == "cut after":
                await self._do(method, params, caller, cut=True)
            if (broken := _broken(request, fault, after)) is not None:
                return broken
            return web.json_response({"ok": True, "result": await self._do(method, params, caller)})
        except Refusal as refusal:
            return web.json_response(refusal.body, status=refusal.code)
        finally:
            if not self.api.closing:
                await self.notify()

    async def _do(self, method: str, params: Json, caller: str, *, cut: bool = False) -> object:
        result = await self.api.call(method, params)
        if method.lower() == "sendmessage" and isinstance(result, dict):
            sent = Sent(caller, time.monotonic(), cut)
            self.sent[result["chat"]["id"], result["message_id"]] = sent
        return result

    def _authorise(self, token: str) -> None:
        if not re.fullmatch(r"\d+:[\w-]+", token):
            raise Refusal(404, "Not Found")
        if token != self.token:
            raise Refusal(401, "Unauthorized")


def _broken(request: web.Request, fault: Fault | None, after: float) -> web.StreamResponse | None:
    match fault:
        case None:
            return None
        case "429":
            raise flood(after)
        case "500":
            raise Refusal(500, "Internal Server Error")
        case "html":
            page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
            return web.Response(status=502, text=page, content_type="text/html")
        case "garbage":
            return web.Response(text='{"ok": true, "resu', content_type="application/json")
        case "cut before" | "cut after":
            if request.transport is not None:  # else the caller has gone already
                request.transport.abort()
            return web.Response()


async def _params(request: web.Request) -> Json:
    if request.content_type == "application/json":
        return dict(await request.json())
    given = {**request.query, **await request.post()}
    return {name: _value(name, value) for name, value in given.items() if isinstance(value, str)}


async def _files(request: web.Request) -> dict[str, tuple[str, bytes]]:
    """What was uploaded with a request: names and bytes, by the names of its parts."""
    if request.content_type != "multipart/form-data":
        return {}
    parts = (await request.post()).items()
    return {name: (part.filename, part.file.read()) for name, part in parts if isinstance(part, web.FileField)}


def _value(name: str, value: str) -> Any:
    if name in _JSON:
        return json.loads(value)
    if name in _INTEGERS and re.fullmatch(r"-?\d+", value):
        return int(value)
    return value
