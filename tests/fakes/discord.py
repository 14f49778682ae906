"""Discord on loopback: a gateway and a REST API with people behind them, for the real SDK over real sockets.

It enforces what the platform enforces: the token, intents, who may see and write where, 2,000 code points, nonces,
interactions that end, and the limits of a channel where `limited` is set. With Discord's own description in
TRIALOGUE_TEST_SPECS each request is checked, and leaving the fake fails if one was wrong.

People are named ("ann"), and so are channels and threads; a direct channel has its person's name. An incoming text
may have any length here, so that an engine that repeats it makes long replies.
"""

import asyncio
import json
import time
from collections import defaultdict, deque
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, contextmanager
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any, Literal, Self, TypeVar
from urllib.parse import quote

from aiohttp import web

from tests.fakes.discord_gateway import FakeGateway
from tests.fakes.discord_rest import LIMIT, Flood, Interaction, Refusal, RestApi
from tests.fakes.discord_spec import given_spec
from tests.fakes.discord_world import DIRECT, FLAG_CONTENT, MEMBER, Json, Message, Room, World

__all__ = ["LIMIT", "Call", "FakeDiscord", "Fault"]

Fault = Literal[
    "429",
    "429 everywhere",
    "429 of cloudflare",
    "500",
    "503",
    "html",
    "html 200",
    "garbage",
    "cut before",
    "cut after",
    "unknown",
]
T = TypeVar("T")
Handler = Callable[[Mapping[str, str], Mapping[str, str], Any], Awaitable[Any]]

_PAGE = "<html><head><title>502 Bad Gateway</title></head><body>cloudflare</body></html>"
_API = "/api/v10"
SIGNED_FOR = 24 * 3600.0  # seconds


@dataclass(frozen=True, slots=True)
class Call:
    """One request, with the names in its path as the API's description has them."""

    method: str
    path: str
    parameters: Mapping[str, str]
    body: Any = field(repr=False)


class FakeDiscord:
    """Enter it; then `api_base`, `gateway_url` and `token` are what a bot is set to."""

    def __init__(self) -> None:
        self.world = World()
        self.gateway = FakeGateway(self.world)
        self.rest = RestApi(self.world)
        self.world.tell = self.gateway.say
        self.journal: list[Call] = []
        self.down = False  # then it does nothing for anybody
        self.wrong: list[str] = []
        self.api_base = self.gateway_url = self.file_base = ""
        self._uploads: dict[str, bytes] = {}
        self._spec = given_spec()
        self._faults: defaultdict[tuple[str, str], deque[tuple[Fault, float]]] = defaultdict(deque)
        self._held: dict[tuple[str, str], asyncio.Event] = {}
        self._stack = AsyncExitStack()

    async def __aenter__(self) -> Self:
        app = web.Application()
        app.router.add_get("/gateway/", self.gateway.handle)
        app.router.add_get("/attachments/{number}/{name}", self._hand_out)
        for method, path, handler in self._routes():
            app.router.add_route(method, _API + path, self._serving(path, handler))
        runner = web.AppRunner(app, handler_cancellation=True, shutdown_timeout=1.0, access_log=None)
        await runner.setup()
        self._stack.push_async_callback(runner.cleanup)
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        host, port = runner.addresses[0][:2]
        self.api_base = f"http://{host}:{port}{_API}"
        self.file_base = f"http://{host}:{port}/"
        self.gateway_url = self.gateway.url = self.rest.gateway_url = f"ws://{host}:{port}/gateway/"
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        for held in self._held.values():
            held.set()
        await self._stack.aclose()
        if kind is None:
            assert not self.wrong, f"requests that Discord does not know: {self.wrong}"

    @property
    def token(self) -> str:
        return self.world.token

    def say(
        self,
        text: str,
        *,
        person: str = "ann",
        room: str | None = None,
        mention: bool = False,
        reply_to: str | None = None,
        ping: bool = True,
        files: Sequence[str] = (),
        uploads: Sequence[Json] = (),
        age: float = 0.0,
        deliver: bool = True,
    ) -> str:
        """A person writes in a room of the server, or to the bot alone. Returns the message's id.

        `files` are content types, and `uploads` what `upload` gave; `ping` is whether a reply calls whom it
        answers. `age`: it was written so many seconds ago. Without `deliver` the gateway does not speak of it
        (yet).
        """
        where = self.world.direct(person) if room is None else self.world.named(room)
        content = f"<@{self.world.bot.id}> {text}" if mention else text
        message = Message(
            self.world.snowflake(age),
            self.world.person(person),
            content,
            attachments=[*(self._attachment(kind) for kind in files), *uploads],
            reference=reply_to,
            pings=ping,
        )
        if deliver:
            self.world.say(where, message)
        else:
            where.messages.append(message)
        return message.id

    def command(
        self, name: str, text: str | None = None, *, person: str = "ann", room: str | None = None
    ) -> Interaction:
        """A person makes a slash command."""
        where = self.world.direct(person) if room is None else self.world.named(room)
        options = [] if text is None else [{"name": "text", "type": 3, "value": text}]
        data = {"id": "1", "name": name, "type": 1, "options": options}
        return self._interact(where, person, {"type": 2, "data": data})

    def ask(self, message: str, *, person: str = "ann") -> Interaction:
        """A person chooses the bot in the menu of a message."""
        where, found = self._found(message)
        resolved = {"messages": {message: self.world.message(where, found, live=False)}}
        data = {"id": "5", "name": "Ask about this", "type": 3, "target_id": message, "resolved": resolved}
        return self._interact(where, person, {"type": 2, "data": data})

    def type(self, name: str, text: str, *, person: str = "ann", room: str | None = None) -> Interaction:
        """A person is typing the text of a slash command, and Discord asks how it may go on."""
        where = self.world.direct(person) if room is None else self.world.named(room)
        options = [{"name": "text", "type": 3, "value": text, "focused": True}]
        data = {"id": "1", "name": name, "type": 1, "options": options}
        return self._interact(where, person, {"type": 4, "data": data})

    def press(self, message: str, custom_id: str, *, person: str = "ann") -> Interaction:
        """A person presses a button under a message of the bot, or says so."""
        where, found = self._found(message)
        data = {"id": 2, "component_type": 2, "custom_id": custom_id}
        shown = self.world.message(where, found, live=False)
        return self._interact(where, person, {"type": 3, "data": data, "message": shown})

    def edit(self, message: str, text: str) -> None:
        """A person changes what they wrote."""
        where, found = self._found(message)
        self.world.change(where, found, text)

    def pin(self, message: str) -> None:
        """A person pins a message, of which Discord tells as of any change: with the time of its last edit."""
        where, found = self._found(message)
        self.world.tell("MESSAGE_UPDATE", self.world.message(where, found, live=True) | {"pinned": True}, where)

    def _found(self, message: str) -> tuple[Room, Message]:
        where = next(room for room in self.world.rooms.values() if room.find(message) is not None)
        found = where.find(message)
        assert found is not None
        return where, found

    def _interact(self, where: Room, person: str, about: Json) -> Interaction:
        number = self.world.snowflake()
        token = f"token{number}"
        who: Json = {"user": self.world.person(person).payload}
        if where.kind != DIRECT:
            may = str(1 << 4 if person in self.world.managers else 0)
            who = {"member": {**who, **MEMBER, "permissions": may}, "guild_id": where.guild}
        payload = {
            "id": number,
            "application_id": self.world.application,
            "token": token,
            "version": 1,
            "channel_id": where.id,
            "channel": self.world.channel(where),
            "app_permissions": "0",
            "locale": "en-US",
            "entitlements": [],
            "authorizing_integration_owners": {},
            "attachment_size_limit": 0,
            **about,
            **who,
        }
        interaction = Interaction(number, token, where, person, payload)
        self.rest.interactions[token] = interaction
        self.gateway.say("INTERACTION_CREATE", payload, where)
        return interaction

    def redeliver(self, message: str) -> None:
        """The gateway speaks of a message (again), as if it were new."""
        room = next(room for room in self.world.rooms.values() if room.find(message) is not None)
        found = room.find(message)
        assert found is not None
        self.gateway.say("MESSAGE_CREATE", self.world.message(room, found, live=True), room)

    def bots_speak(self, room: str = "general") -> None:
        """Our bot and another one write in a room, and to each other."""
        where = self.world.named(room)
        for author in (self.world.bot, self.world.other_bot):
            content = f"<@{self.world.bot.id}> I am a bot"
            self.world.say(where, Message(self.world.snowflake(), author, content))

    def delete(self, message: str) -> None:
        for room in self.world.rooms.values():
            if room.find(message) is not None:
                room.messages = [one for one in room.messages if one.id != message]
                gone: Json = {"id": message, "channel_id": room.id}
                if room.kind != DIRECT:
                    gone["guild_id"] = room.guild
                self.gateway.say("MESSAGE_DELETE", gone, room)
        self.world.wake()

    def remove_bot(self, room: str) -> None:
        """The bot may not see the room any more."""
        self.world.named(room).forbidden = "access"

    def disallow_content(self) -> None:
        """The Message Content Intent is not switched on."""
        self.world.flags &= ~FLAG_CONTENT

    def shown(self, room: str) -> list[str]:
        """What the bot's messages there say now, oldest first."""
        return [one.content for one in self.written(room)]

    def written(self, room: str) -> list[Message]:
        """The bot's messages there that everybody sees, without those that are being thought about."""
        said = self.world.named(room).messages
        return [one for one in said if one.author is self.world.bot and one.whispered_to is None and one.content]

    def attached(self, room: str) -> list[tuple[str, str]]:
        """Names and texts of the files under the bot's messages there, also under those that one person sees."""
        return [
            (each["filename"], self.rest.files[each["id"]].decode())
            for one in self.world.named(room).messages
            if one.author is self.world.bot
            for each in one.attachments
        ]

    def whispered(self, person: str) -> list[str]:
        """What the bot said to that person alone."""
        rooms: list[Room] = list(self.world.rooms.values())
        return [
            one.content for room in rooms for one in room.messages if one.whispered_to == person and one.content
        ]

    async def until(self, predicate: Callable[[], bool], within: float = 15.0) -> None:
        """Wait for a condition. AssertionError after `within` seconds, with what stands in the rooms."""
        await self.world.until(predicate, within, self._seen)

    async def until_connected(self) -> None:
        await self.until(lambda: self.gateway.connected > 0)

    def fail(self, method: str, path: str, *faults: Fault, times: int = 1, after: float = 0.1) -> None:
        """The next calls of a path that ends so go wrong, one for each fault. `after`: what a 429 asks for."""
        self._faults[method, path].extend((fault, after) for fault in faults * times)

    def is_to_fail(self, method: str, path: str) -> bool:
        """Whether the next call of a path that ends so goes wrong."""
        return bool(self._faults[method, path])

    def mend(self) -> None:
        """Nothing goes wrong any more."""
        self._faults.clear()
        self.down = self.gateway.down = False

    def break_down(self) -> None:
        """Until it is mended, nobody reaches Discord. Sessions can be resumed then."""
        self.down = self.gateway.down = True
        self.gateway.drop()

    @contextmanager
    def hold(self, method: str, path: str) -> Iterator[None]:
        """Calls of a path that ends so are not done and not answered before the block is left."""
        self._held[method, path] = asyncio.Event()
        try:
            yield
        finally:
            self._held.pop((method, path)).set()

    def calls(self, method: str, path: str) -> list[Call]:
        return [call for call in self.journal if call.method == method and call.path.endswith(path)]

    def _routes(self) -> list[tuple[str, str, Handler]]:
        rest, webhook = self.rest, "/webhooks/{webhook_id}/{webhook_token}"
        return [
            ("GET", "/users/@me", rest.me),
            ("POST", "/attachments/refresh-urls", self._sign_anew),
            ("GET", "/users/@me/guilds", rest.guilds),
            ("GET", "/applications/@me", rest.application),
            ("GET", "/oauth2/applications/@me", rest.application),
            ("GET", "/gateway/bot", rest.gateway),
            ("GET", "/applications/{application_id}/commands", rest.list_commands),
            ("PUT", "/applications/{application_id}/commands", rest.set_commands),
            ("GET", "/channels/{channel_id}", rest.channel),
            ("GET", "/channels/{channel_id}/thread-members/{user_id}", rest.member),
            ("GET", "/channels/{channel_id}/messages", rest.history),
            ("POST", "/channels/{channel_id}/messages", rest.send),
            ("PATCH", "/channels/{channel_id}/messages/{message_id}", rest.edit),
            ("POST", "/channels/{channel_id}/typing", rest.type),
            ("POST", "/interactions/{interaction_id}/{interaction_token}/callback", rest.respond),
            ("POST", webhook, rest.follow_up),
            ("GET", webhook + "/messages/@original", rest.original),
            ("PATCH", webhook + "/messages/@original", rest.edit_original),
            ("PATCH", webhook + "/messages/{message_id}", rest.edit_answer),
        ]

    def _serving(self, path: str, handler: Handler) -> Callable[[web.Request], Awaitable[web.StreamResponse]]:
        async def serve(request: web.Request) -> web.StreamResponse:
            try:
                return await self._serve(request, path, handler)
            finally:
                self.world.wake()

        return serve

    async def _serve(self, request: web.Request, path: str, handler: Handler) -> web.StreamResponse:
        method, parameters = request.method, dict(request.match_info)
        body, files = await _read(request)
        query = dict(request.query)
        if self.down:
            return web.Response(status=503, text=_PAGE, content_type="text/html")
        self.journal.append(Call(method, path, parameters, body))
        if self._spec is not None:
            self.wrong += self._spec.wrong(method, path, query, body)
        for each, data in zip((body or {}).get("attachments", ()) if files else (), files, strict=True):
            each["data"] = data
        self.world.wake()
        if (held := self._matching(self._held, method, path)) is not None:
            await held.wait()
        faults = self._matching(self._faults, method, path)
        fault, after = faults.popleft() if faults else (None, 0.0)
        headers = {"Via": "1.1 google"}
        try:
            self._authorise(request)
            if fault == "cut after":
                await handler(parameters, query, body)
            if (broken := _broken(request, fault, after)) is not None:
                return broken
            answer = await handler(parameters, query, body)
        except Refusal as refusal:
            return _json(refusal.body, status=refusal.status, headers=headers)
        except Flood as flood:
            return _flooded(flood.after, "user")
        what = "send" if method == "POST" else "edit"
        headers |= self.rest.headers(what, parameters.get("channel_id", ""))
        if answer is None:
            return web.Response(status=204, headers=headers)
        return _json(answer, headers=headers)

    def _authorise(self, request: web.Request) -> None:
        if request.path.startswith((f"{_API}/interactions/", f"{_API}/webhooks/")):
            return  # the token in the path is enough
        if request.headers.get("Authorization") != f"Bot {self.token}":
            raise Refusal(401, 0, "401: Unauthorized")

    def _matching(self, table: Mapping[tuple[str, str], T], method: str, path: str) -> T | None:
        return next((one for (verb, end), one in table.items() if verb == method and path.endswith(end)), None)

    def upload(self, name: str, data: bytes, kind: str, *, age: float = 0.0) -> Json:
        """Something that a person attaches to a message; kept where Discord keeps such things. Its address was
        signed `age` seconds ago."""
        number = self.world.snowflake()
        self._uploads[number] = data
        address = self._signed(f"{self.file_base}attachments/{number}/{quote(name, safe='')}", age)
        return {"id": number, "filename": name, "size": len(data), "content_type": kind, "url": address,
                "proxy_url": address}  # fmt: skip

    def _signed(self, address: str, age: float = 0.0) -> str:
        return f"{address}?ex={int(time.time() - age + SIGNED_FOR):x}&is=1&hm=2"

    async def _sign_anew(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        """Only what is Discord's own."""
        anew = [
            {"original": each, "refreshed": self._signed(each.partition("?")[0])}
            for each in body["attachment_urls"]
            if each.startswith(f"{self.file_base}attachments/")
        ]
        return {"refreshed_urls": anew}

    async def _hand_out(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("hm") != "2" or int(request.query["ex"], 16) < time.time():
            return web.Response(status=404, text="This content is no longer available.")
        return web.Response(body=self._uploads[request.match_info["number"]])

    def _attachment(self, kind: str) -> Json:
        number = self.world.snowflake()
        name = f"file{number}.{kind.rpartition('/')[2]}"
        return {"id": number, "filename": name, "size": 1, "content_type": kind, "url": f"https://cdn.test/{name}",
                "proxy_url": f"https://cdn.test/{name}"}  # fmt: skip

    def _seen(self) -> object:
        rooms = {room.name: [one.content[:200] for one in room.messages] for room in self.world.rooms.values()}
        return rooms, [(call.method, call.path) for call in self.journal[-20:]]


async def _read(request: web.Request) -> tuple[Any, list[bytes]]:
    """The body, and the files that come with it."""
    if not request.can_read_body:
        return None, []
    if request.content_type != "multipart/form-data":
        return await request.json(), []
    form = await request.post()
    files = [part.file.read() for part in form.values() if isinstance(part, web.FileField)]
    return json.loads(str(form["payload_json"])), files


def _json(answer: Any, *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    # Discord names no charset, and discord.py takes nothing else for JSON.
    named = {"Content-Type": "application/json", **(headers or {})}
    return web.Response(body=json.dumps(answer).encode(), status=status, headers=named)


def _broken(request: web.Request, fault: Fault | None, after: float) -> web.StreamResponse | None:
    match fault:
        case None:
            return None
        case "429":
            return _flooded(after, "user")
        case "429 everywhere":
            return _flooded(after, "global")
        case "429 of cloudflare":
            return web.Response(
                status=429, text=_PAGE, content_type="text/html", headers={"Retry-After": str(after)}
            )
        case "500" | "503":
            body = {"message": "500: Internal Server Error", "code": 0}
            return _json(body, status=int(fault), headers={"Via": "1.1 google"})
        case "unknown":
            return _json({"message": "404: Not Found", "code": 0}, status=404, headers={"Via": "1.1 google"})
        case "html":
            return web.Response(status=502, text=_PAGE, content_type="text/html")
        case "html 200":
            return web.Response(text=_PAGE, content_type="text/html")
        case "garbage":
            return web.Response(body=b'{"id": "1", "con', headers={"Content-Type": "application/json"})
        case "cut before" | "cut after":
            if request.transport is not None:  # else the caller has gone already
                request.transport.abort()
            return web.Response()


def _flooded(after: float, scope: Literal["user", "global"]) -> web.StreamResponse:
    """https://discord.com/developers/docs/topics/rate-limits#exceeding-a-rate-limit"""
    body = {"message": "You are being rate limited.", "retry_after": after, "global": scope == "global"}
    headers = {
        "Via": "1.1 google",
        "Retry-After": str(after),
        "X-RateLimit-Scope": scope,
        "X-RateLimit-Limit": "5",
        "X-RateLimit-Remaining": "0",
        "X-RateLimit-Reset-After": str(after),
    }
    if scope == "global":
        headers["X-RateLimit-Global"] = "true"
    return _json(body, status=429, headers=headers)
