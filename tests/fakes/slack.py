"""A Slack on loopback: Web API, Socket Mode and pushed events. The real SDK talks to it over real sockets.

It enforces what the platform enforces: kinds of tokens, scopes, membership, archived channels, 12,000 characters
of Markdown, threads that exist, whose message an edit changes, URLs of Socket Mode that are good once, and, where
`rates` is set, the limits of messages and edits. With Slack's own description in TRIALOGUE_TEST_SPECS each
request's arguments are checked, and leaving the fake fails if one was wrong.

An incoming text may have any length here, so that an engine that repeats it makes long replies.
"""

import asyncio
import itertools
import json
from collections import defaultdict, deque
from collections.abc import Iterator
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self
from urllib.parse import quote

import aiohttp
from aiohttp import encode_basic_auth, web

from tests.fakes.slack_api import SlackError, WebApi
from tests.fakes.slack_push import RETRIES, HttpPush, Socket, Sockets
from tests.fakes.slack_spec import given_spec
from tests.fakes.slack_world import APP, BOT, TEAM, Json, World


@dataclass(frozen=True)
class Call:
    """One request that came, as it was understood."""

    method: str
    params: Json


class FakeSlack(World):
    """The server. Enter it; an adapter needs its `api_base` and tokens. `api` is what the methods have done.

    Events go to the WebSockets of Socket Mode until `push_to` names a URL. An event that is not acknowledged
    within `patience` seconds is brought again, `pauses` seconds later. `brought` are those that were acknowledged,
    `lost` those that were not, and `retried` counts what was brought in vain. `steps` has each message's ts when
    it is begun to be brought, and again, with True, when it was acknowledged.

    `workspaces` are others that have the app, or may install it, by the tokens that the bot has or gets there:
    each is a `FakeSlack` that is not entered, and is reached by the same address and the same connections.
    """

    bot_token = "xoxb-1-fake-bot-token"
    app_token = "xapp-1-fake-app-token"
    signing_secret = "fake-signing-secret"
    client_id = "1.2"
    client_secret = "fake-client-secret"

    def __init__(
        self,
        *,
        rates: bool = False,
        patience: float = 3.0,
        pauses: tuple[float, ...] = (0.0,) * RETRIES,
        team: str = TEAM,
        bot: str = BOT,
    ) -> None:
        super().__init__(team, bot)
        self.workspaces: dict[str, FakeSlack] = {}
        self.has_app = True
        self._codes: dict[str, FakeSlack] = {}
        self.api = WebApi(self, rates=rates)
        self.api_base = self.file_base = ""
        self._uploads: dict[str, bytes] = {}
        self.patience = patience
        self.pauses = pauses
        self.steps: list[tuple[str, bool]] = []
        self.journal: list[Call] = []
        self.wrong: list[str] = []
        self.lost: list[Json] = []
        self.brought: list[Json] = []
        self.retried = 0
        self.sockets = Sockets()
        self.http: HttpPush | None = None
        self._faults: defaultdict[str, deque[tuple[str, int]]] = defaultdict(deque)
        self._held: dict[str, asyncio.Event] = {}
        self._away = False
        self._tickets: set[str] = set()
        self._ticket_numbers = itertools.count(1)
        self._envelopes = itertools.count(1)
        self._spec = given_spec()
        self._stack = AsyncExitStack()
        self._session: aiohttp.ClientSession

    async def __aenter__(self) -> Self:
        app = web.Application(client_max_size=1 << 24)
        app.router.add_route("*", "/api/{method}", self._serve)
        app.router.add_get("/link", self._link)
        app.router.add_post("/told/{place}/{user}", self._told)
        app.router.add_post("/files-pri/sent/{number}", self._keep)
        app.router.add_get("/files-pri/{number}/download/{name}", self._hand_out)
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.api_base = f"http://{host}:{port}/api/"
        self.file_base = self.api.file_base = f"http://{host}:{port}/files-pri/"
        self._link_base = f"ws://{host}:{port}/link"
        self._session = await self._stack.enter_async_context(aiohttp.ClientSession())
        self._group = await self._stack.enter_async_context(asyncio.TaskGroup())
        self._push_events_of(self)
        return self

    def _push_events_of(self, workspace: "FakeSlack") -> None:
        pusher = self._group.create_task(workspace._push_for_ever(), name="slack pusher")
        self._stack.callback(pusher.cancel)

    def workspace(self, name: str) -> "FakeSlack":
        """Another one, `T0<name>`, which may install the app."""
        other = FakeSlack(patience=self.patience, pauses=self.pauses, team=f"T0{name}", bot=f"U0BOT{name}")
        other.bot_token = f"xoxb-{name}-fake-bot-token"
        other.has_app = False
        other.api_base, other.file_base = self.api_base, self.file_base
        other.api.file_base = self.file_base
        other.sockets, other.http, other.changed = self.sockets, self.http, self.changed
        other._envelopes = self._envelopes
        self.workspaces[other.bot_token] = other
        self._push_events_of(other)
        return other

    def approve(self, workspace: "FakeSlack") -> str:
        """Somebody there lets the app in; the code that Slack sends them back with."""
        code = f"code-{next(self._ticket_numbers)}"
        self._codes[code] = workspace
        return code

    async def uninstall(self) -> None:
        """The app is taken away from this workspace: its token is worth nothing any more."""
        self.has_app = False
        self.push(self.wrapped({"type": "tokens_revoked", "tokens": {"oauth": [], "bot": [self.bot]}}))
        self.push(self.wrapped({"type": "app_uninstalled"}))
        await self.notify()

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for socket in self.sockets.open:
            await socket.close()
        await self._stack.aclose()
        if kind is None:
            wrong = [*self.wrong, *(each for other in self.workspaces.values() for each in other.wrong)]
            assert not wrong, f"requests that the Web API does not know: {wrong}"

    def fail(self, method: str, *faults: str, after: int = 1) -> None:
        """The next calls of `method` go wrong, one for each of `faults`: "429", "500", "html", "garbage",
        "cut before", "cut after", or the name of an error. `after` is what a 429 asks for. The method "link" is
        the opening of a WebSocket."""
        self._faults[method].extend((fault, after) for fault in faults)

    def is_to_fail(self, method: str) -> bool:
        """Whether the next call of `method` goes wrong."""
        return bool(self._faults[method])

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self._away = False

    def break_down(self) -> None:
        """Until it is mended, nobody reaches Slack. What it has to bring is brought then."""
        self._away = True
        self.cut_sockets()

    @contextmanager
    def hold(self, method: str) -> Iterator[None]:
        """Calls of `method` get no answer while the block lasts. What they ask for is done after it."""
        self._held[method] = asyncio.Event()
        try:
            yield
        finally:
            self._held.pop(method).set()

    @contextmanager
    def away(self) -> Iterator[None]:
        """Nobody reaches Slack while the block lasts, and what is said meanwhile is never told."""
        self.cut_sockets()
        self._away = True
        try:
            with self.untold():
                yield
        finally:
            self._away = False

    def calls(self, method: str) -> list[Call]:
        return [call for call in self.journal if call.method == method]

    async def command(self, text: str, *, person: str = "ann", channel: str | None = None) -> Json | None:
        """`person` gives the slash command, in the direct message with the bot or in the channel with the id
        `channel`; returns what the app answers, None if it does not in time."""
        body = {
            "token": "verification-token",
            "team_id": self.team,
            "team_domain": "example",
            "channel_id": channel or self.direct(person).id,
            "channel_name": "directmessage" if channel is None else "somewhere",
            "user_id": self.user(person)["id"],
            "user_name": person,
            "command": "/trialogue",
            "text": text,
            "api_app_id": APP,
            "is_enterprise_install": "false",
            "response_url": "https://hooks.slack.com/commands/never-called",
            "trigger_id": f"{next(self._envelopes)}.1.fake",
        }
        if self.http is not None:
            return await self.http.command(body, within=self.patience)
        envelope = self._envelope("slash_commands", body) | {"accepts_response_payload": True}
        return await self.sockets.next().bring(envelope, self.patience)

    async def ask(self, ts: str, *, person: str = "ann") -> None:
        """`person` chooses the app in the menu of the message `ts`."""
        place = next(place for place in self.places.values() if ts in place.messages)
        user = self.user(person)["id"]
        body = {
            "type": "message_action",
            "callback_id": "trialogue_ask",
            "team": {"id": self.team, "domain": "example"},
            "user": {"id": user, "username": person, "name": person, "team_id": self.team},
            "channel": {"id": place.id, "name": place.name},
            "token": "verification-token",
            "trigger_id": f"{next(self._envelopes)}.1.fake",
            "response_url": f"{self.file_base.removesuffix('files-pri/')}told/{place.id}/{user}",
            "action_ts": self.now(),
            "message_ts": ts,
            "message": dict(place.messages[ts]),
        }
        await self.connected()
        answer = await self.sockets.next().bring(self._envelope("interactive", body), self.patience)
        assert answer is not None, "a shortcut must be acknowledged in time"

    async def press(self, ts: str, element: Json, *, person: str = "ann") -> None:
        """`person` presses what has `element`'s id and value under the message `ts`, or says so."""
        place = next(place for place in self.places.values() if ts in place.messages)
        message = place.messages[ts]
        body = {
            "type": "block_actions",
            "team": {"id": self.team, "domain": "example"},
            "user": {"id": self.user(person)["id"], "username": person, "name": person, "team_id": self.team},
            "api_app_id": APP,
            "token": "verification-token",
            "container": {"type": "message", "message_ts": ts, "channel_id": place.id, "is_ephemeral": False},
            "trigger_id": f"{next(self._envelopes)}.1.fake",
            "channel": {"id": place.id, "name": place.name},
            "message": dict(message),
            "state": {"values": {}},
            "response_url": "https://hooks.slack.com/actions/never-called",
            "actions": [{"block_id": "b", "type": "button", "action_ts": self.now(), **element}],
        }
        await self.connected()
        answer = await self.sockets.next().bring(self._envelope("interactive", body), self.patience)
        assert answer is not None, "a button must be acknowledged in time"

    def attached(self, room: str) -> list[tuple[str, str]]:
        """Names and texts of the files under the bot's messages in a direct message."""
        files = [each for one in self.direct(room).messages.values() for each in one.get("files", ())]
        return [(each["name"], self.api.sent[each["id"]]["data"].decode()) for each in files]

    async def settled(self) -> None:
        """Wait until each event was acknowledged, or has been brought in vain for the last time."""
        await self.until(lambda: len(self.brought) + len(self.lost) == self.pushed)

    def push_to(self, url: str) -> HttpPush:
        """Events are pushed to `url` from now on."""
        self.http = HttpPush(self._session, url, self.signing_secret)
        for other in self.workspaces.values():
            other.http = self.http
        return self.http

    async def connected(self, count: int = 1) -> None:
        """Wait until so many WebSockets are open."""
        await self.until(lambda: len(self.sockets.open) >= count)

    async def disconnect(self, reason: str = "refresh_requested", *, close: bool = True) -> None:
        """Tell each WebSocket that it is to be left, and close it."""
        for socket in self.sockets.open:
            socket.open = False
            await socket.send({"type": "disconnect", "reason": reason, "debug_info": {"host": "fake"}})
            if close:
                await socket.close()

    def cut_sockets(self) -> None:
        """Each connection is gone without a word."""
        for socket in self.sockets.open:
            socket.cut()

    def own_event(self, text: str, *, room: str) -> None:
        """The bot's own message in `room`, as Slack tells the app of it."""
        place = self.place(room)
        self.push(
            self.message_event(place, self.post(place, self.bot, None, {"text": text, "bot_id": self.bot_id}))
        )

    # Bringing events

    async def _push_for_ever(self) -> None:
        async with asyncio.TaskGroup() as group:
            while True:
                event, attempt = await self.events.get()
                await self.until(lambda: self.http is not None or bool(self.sockets.open), within=3600.0)
                # Each is begun in its order, and none waits for another one's acknowledgement.
                group.create_task(self._bring(event, attempt), name="event")
                await asyncio.sleep(0)

    async def _bring(self, event: Json, first: int) -> None:
        for attempt, pause in enumerate((0.0, *self.pauses), first):
            await asyncio.sleep(pause)
            brought = await self._brought(event, attempt)
            if brought:
                self.brought.append(event)
                self.steps.append((event["event"].get("ts", ""), True))
                await self.notify()
                return
            self.retried += 1
            await self.notify()
        self.lost.append(event)
        await self.notify()

    async def _brought(self, event: Json, attempt: int) -> bool:
        if self.http is not None:
            return await self.http.bring(event, attempt=attempt, within=self.patience) is not None
        await self.until(lambda: bool(self.sockets.open), within=3600.0)
        self.steps.append((event["event"].get("ts", ""), False))
        envelope = self._envelope("events_api", event) | {"accepts_response_payload": False}
        if attempt:
            envelope |= {"retry_attempt": attempt, "retry_reason": "timeout"}
        return await self.sockets.next().bring(envelope, self.patience) is not None

    def _envelope(self, kind: str, payload: Json) -> Json:
        return {"type": kind, "envelope_id": f"envelope-{next(self._envelopes)}", "payload": payload}

    # The server

    async def _serve(self, request: web.Request) -> web.StreamResponse:
        method = request.match_info["method"]
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if (other := self.workspaces.get(bearer)) is not None:
            return await other._serve(request)
        try:
            form = request.content_type != "application/json"
            params = await _params(request)
            self._authorise(method, request.headers.get("Authorization", ""))
            self.journal.append(Call(method, params))
            if self._spec is not None:
                self.wrong += self._spec.faults(method, params, form=form)
            if self._away:
                return web.Response(status=503)
            if (held := self._held.get(method)) is not None:
                await self.notify()
                await held.wait()
            faults = self._faults[method]
            fault, after = faults.popleft() if faults else ("", 0)
            if fault == "cut after":
                self._do(method, params)
            if (broken := _broken(request, fault, after)) is not None:
                return broken
            return web.json_response(
                self._do(method, params), headers={"x-oauth-scopes": ",".join(self.api.scopes)}
            )
        except SlackError as error:
            return _answer(error)
        finally:
            await self.notify()

    def _do(self, method: str, params: Json) -> Json:
        if method == "apps.connections.open":
            ticket = f"ticket-{next(self._ticket_numbers)}"
            self._tickets.add(ticket)
            return {"ok": True, "url": f"{self._link_base}?ticket={ticket}&app_id={APP}"}
        if method == "oauth.v2.access":
            return self._let_in(params)
        return self.api.call(method, params)

    def _let_in(self, params: Json) -> Json:
        """https://docs.slack.dev/reference/methods/oauth.v2.access"""
        if (workspace := self._codes.pop(params["code"], None)) is None:
            raise SlackError("invalid_code")
        workspace.has_app = True
        return {
            "ok": True,
            "app_id": APP,
            "authed_user": {"id": workspace.user("ann")["id"]},
            "scope": ",".join(sorted(workspace.api.scopes)),
            "token_type": "bot",
            "access_token": workspace.bot_token,
            "bot_user_id": workspace.bot,
            "team": {"id": workspace.team, "name": workspace.team},
            "enterprise": None,
            "is_enterprise_install": False,
        }

    def _authorise(self, method: str, header: str) -> None:
        if method == "oauth.v2.access":
            if header != encode_basic_auth(self.client_id, self.client_secret):
                raise SlackError("invalid_client_id")
            return
        token = header.removeprefix("Bearer ")
        wanted = self.app_token if method == "apps.connections.open" else self.bot_token
        if not token:
            raise SlackError("not_authed")
        if token not in (self.app_token, self.bot_token):
            raise SlackError("invalid_auth")
        if token != wanted:
            raise SlackError("not_allowed_token_type")
        if token == self.bot_token and not self.has_app:
            raise SlackError("account_inactive")
        if token == self.app_token and not self.api.app_scopes:
            raise SlackError("missing_scope", needed="connections:write", provided="")

    def upload(self, name: str, data: bytes, kind: str) -> Json:
        """A file that a person shares in a message."""
        number = f"F{len(self._uploads) + 1}"
        self._uploads[number] = data
        address = f"{self.file_base}{number}/download/{quote(name, safe='')}"
        return {"id": number, "name": name, "mimetype": kind, "size": len(data), "url_private_download": address}

    async def _hand_out(self, request: web.Request) -> web.StreamResponse:
        """Whom it does not let in, Slack shows a page to log in at, and says that all is well."""
        bearer = request.headers.get("Authorization", "").removeprefix("Bearer ")
        if (other := self.workspaces.get(bearer)) is not None:
            return await other._hand_out(request)
        if bearer != self.bot_token or "files:read" not in self.api.scopes:
            return web.Response(text="<html>Sign in to Slack</html>", content_type="text/html")
        return web.Response(body=self._uploads[request.match_info["number"]])

    async def _keep(self, request: web.Request) -> web.StreamResponse:
        """The app uploads a file."""
        self.api.sent[request.match_info["number"]]["data"] = await request.read()
        return web.Response(text="OK")

    async def _told(self, request: web.Request) -> web.StreamResponse:
        """What the app says to a person by the address that an interaction gave it."""
        told = {**request.match_info, **await request.json()}
        self.ephemeral.append(told)
        await self.notify()
        return web.Response(text="ok")

    async def _link(self, request: web.Request) -> web.StreamResponse:
        ticket = request.query.get("ticket", "")
        if self._away:
            return web.Response(status=503)
        if self._faults["link"]:
            fault, after = self._faults["link"].popleft()
            self._tickets.discard(ticket)
            try:
                return _broken(request, fault, after) or web.Response(status=503)
            except SlackError as error:
                return _answer(error)
        if ticket not in self._tickets:
            return web.Response(status=403)
        self._tickets.remove(ticket)
        response = web.WebSocketResponse()
        await response.prepare(request)
        socket = Socket(response, request)
        self.sockets.all.append(socket)
        await self.notify()
        try:
            await socket.serve(len(self.sockets.open))
        finally:
            self.sockets.all.remove(socket)
            await self.notify()
        return response


def _answer(error: SlackError) -> web.Response:
    if error.retry_after is not None:
        return web.json_response(error.body, status=429, headers={"Retry-After": str(error.retry_after)})
    return web.json_response(error.body)


def _broken(request: web.Request, fault: str, after: int) -> web.StreamResponse | None:
    match fault:
        case "":
            return None
        case "429":
            raise SlackError("ratelimited", retry_after=after)
        case "500":
            return web.json_response({"ok": False, "error": "internal_error"}, status=500)
        case "html":
            page = "<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>"
            return web.Response(status=502, text=page, content_type="text/html")
        case "garbage":
            return web.Response(text='{"ok": true, "resu', content_type="application/json")
        case "cut before" | "cut after":
            if request.transport is not None:  # else the caller has gone already
                request.transport.abort()
            return web.Response()
        case error:
            raise SlackError(error)


async def _params(request: web.Request) -> Json:
    if request.content_type == "application/json":
        return dict(await request.json())
    given: dict[str, Any] = {**request.query, **await request.post()}
    return {name: _value(value) for name, value in given.items()}


def _value(value: str) -> Any:
    return json.loads(value) if value.startswith("{") else value
