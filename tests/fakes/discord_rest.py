"""The REST API of the loopback Discord: what each call does, and Discord's answer where it does not."""

import time
from collections import defaultdict, deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from tests.fakes.discord_world import EPHEMERAL, LOADING, THREAD, Json, Message, Room, World

LIMIT = 2000
NONCE_LIMIT = 25
TOKEN_SECONDS = 15 * 60.0
_WINDOW, _IN_WINDOW = 5.0, 5

_COMPONENT = 3  # an interaction's type
_AUTOCOMPLETE = 4
_LATER_UPDATE = 6  # a response's type
_COMPLETIONS = 8

_FORBIDDEN = {
    "access": (50001, "Missing Access"),
    "write": (50013, "Missing Permissions"),
    "direct": (50007, "Cannot send messages to this user"),
}


class Refusal(Exception):
    """Discord's answer to a call that it does not do."""

    def __init__(self, status: int, code: int, message: str, **more: Any) -> None:
        super().__init__(message)
        self.status = status
        self.body: Json = {"code": code, "message": message, **more}


class Flood(Exception):
    """429: `after` seconds of silence for one channel."""

    def __init__(self, after: float) -> None:
        super().__init__(f"{after:.2f} s")
        self.after = after


def invalid(field_name: str, code: str, message: str) -> Refusal:
    errors = {field_name: {"_errors": [{"code": code, "message": message}]}}
    return Refusal(400, 50035, "Invalid Form Body", errors=errors)


@dataclass(slots=True)
class Interaction:
    """A slash command that a person made. `answer` is the type of the first response, and `choices` are the texts
    that were offered to somebody who was typing."""

    id: str
    token: str
    room: Room
    person: str
    payload: Json
    made: float = field(default_factory=time.time)
    answer: int | None = None
    original: Message | None = None
    choices: list[str] | None = None


class RestApi:
    """Calls by name, each with its path's parameters, its query and its body. Raises `Refusal` and `Flood`."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._nonces: dict[str, Message] = {}
        self._times: defaultdict[tuple[str, str], deque[float]] = defaultdict(deque)
        self.commands: list[Json] = []
        self.refuse_files = False
        self.files: dict[str, bytes] = {}  # what the bot has attached, by the attachments' ids
        self.interactions: dict[str, Interaction] = {}  # by token
        self.pinged: list[str] = []
        self.typing: list[str] = []
        self.limited = False
        self.floods = 0  # how often a limit was passed
        self.gateway_url = ""
        self.shards = self.at_once = 1  # how many it wants, and how many may identify at once
        self.sessions_left = 1000

    def forget_nonces(self) -> None:
        """As Discord does after a few minutes."""
        self._nonces.clear()

    async def me(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        return self._world.bot.payload | {"verified": True, "mfa_enabled": False, "flags": 0}

    async def application(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        world = self._world
        return {
            "id": world.application,
            "name": "Trialogue",
            "icon": None,
            "description": "",
            "bot_public": True,
            "bot_require_code_grant": False,
            "owner": world.person("ann").payload,
            "team": None,
            "verify_key": "0" * 64,
            "flags": world.flags,
            "interactions_endpoint_url": None,
        }

    async def gateway(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        start = {
            "total": 1000,
            "remaining": self.sessions_left,
            "reset_after": 60,
            "max_concurrency": self.at_once,
        }
        return {"url": self.gateway_url, "shards": self.shards, "session_start_limit": start}

    async def guilds(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> list[Json]:
        return [
            {"id": guild, "name": "Test server", "owner": False, "permissions": "0", "features": []}
            for guild in self._world.guilds
        ]

    async def list_commands(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> list[Json]:
        return self.commands

    async def set_commands(
        self, path: Mapping[str, str], query: Mapping[str, str], body: list[Json]
    ) -> list[Json]:
        if path["application_id"] != self._world.application:
            raise Refusal(404, 10002, "Unknown Application")
        self.commands = [{**command, "id": self._world.snowflake(), "version": "1"} for command in body]
        return self.commands

    async def channel(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        return self._world.channel(self._room(path))

    async def member(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        room = self._room(path)
        if room.kind != THREAD or path["user_id"] not in room.members:
            raise Refusal(404, 10007, "Unknown Member")
        return {
            "id": room.id,
            "user_id": path["user_id"],
            "join_timestamp": "2026-01-05T00:49:57+00:00",
            "flags": 0,
        }

    async def history(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> list[Json]:
        room = self._room(path)
        after, limit = int(query.get("after", 0)), int(query.get("limit", 50))
        before = int(query.get("before", 1 << 63))
        if not 1 <= limit <= 100:
            raise invalid("limit", "NUMBER_TYPE_MAX", "int value should be less than or equal to 100.")
        said = [one for one in room.messages if after < int(one.id) < before and one.whispered_to is None]
        said.sort(key=lambda one: int(one.id))
        found = said[-limit:] if "before" in query else said[:limit]
        payloads = [self._world.message(room, one, live=False) for one in reversed(found)]
        return [self._world.blanked(one, room) if not self._world.flags else one for one in payloads]

    async def type(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> None:
        self.typing.append(self._writable(path).id)
        self._world.wake()

    async def send(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        room = self._writable(path)
        self._count("send", room)
        content = self._content(body)
        nonce = body.get("nonce")
        if nonce is not None and len(str(nonce)) > NONCE_LIMIT:
            raise invalid("nonce", "BASE_TYPE_MAX_LENGTH", "Must be 25 or fewer in length.")
        if body.get("enforce_nonce") and nonce in self._nonces:
            return self._world.message(room, self._nonces[nonce], live=False) | {"nonce": nonce}
        message = Message(self._world.snowflake(), self._world.bot, content, flags=int(body.get("flags") or 0))
        message.components = self._components(body) or []
        self._refer(room, message, body)
        self._ping(room, message, body)
        self._world.say(room, message)
        if nonce is not None:
            self._nonces[nonce] = message
        return self._world.message(room, message, live=False) | {"nonce": nonce}

    async def edit(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        room = self._room(path)
        if room.forbidden:
            raise Refusal(403, *_FORBIDDEN[room.forbidden])
        self._count("edit", room)
        message = room.find(path["message_id"])
        if message is None or message.whispered_to is not None:
            raise Refusal(404, 10008, "Unknown Message")
        if message.author is not self._world.bot:
            raise Refusal(403, 50005, "Cannot edit a message authored by another user")
        self._attach(message, body)
        self._world.change(room, message, self._content(body), self._components(body))
        return self._world.message(room, message, live=False)

    async def respond(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json | None:
        interaction = self._alive(path["interaction_token"], seconds=3.0)
        if interaction.answer is not None:
            raise Refusal(400, 40060, "Interaction has already been acknowledged.")
        interaction.answer = body["type"]
        if body["type"] == _LATER_UPDATE:
            if interaction.payload["type"] != _COMPONENT:
                raise invalid("type", "BASE_TYPE_CHOICES", "Value must be one of {4, 5}.")
            interaction.original = interaction.room.find(interaction.payload["message"]["id"])
            return None
        data = body.get("data") or {}
        if (body["type"] == _COMPLETIONS) != (interaction.payload["type"] == _AUTOCOMPLETE):
            raise invalid("type", "BASE_TYPE_CHOICES", "Interaction type does not match the response.")
        if body["type"] == _COMPLETIONS:
            if len(data["choices"]) > 25:
                raise invalid("choices", "BASE_TYPE_BAD_LENGTH", "Must be 25 or fewer in length.")
            interaction.choices = [choice["value"] for choice in data["choices"]]
            return None
        flags = int(data.get("flags") or 0)
        loading = LOADING if body["type"] == 5 else 0
        content = "" if loading else self._content(data)
        message = interaction.original = self._answer(interaction, content, flags | loading)
        if query.get("with_response") not in {"true", "1"}:
            return None
        about = {
            "id": interaction.id,
            "type": 2,
            "response_message_id": message.id,
            "response_message_loading": bool(loading),
            "response_message_ephemeral": bool(flags & EPHEMERAL),
        }
        shown = self._world.message(interaction.room, message, live=False)
        return {"interaction": about, "resource": {"type": body["type"], "message": shown}}

    async def original(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        interaction = self._alive(path["webhook_token"])
        return self._world.message(interaction.room, self._original(interaction), live=False)

    async def edit_original(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        interaction = self._alive(path["webhook_token"])
        message = self._original(interaction)
        self._attach(message, body)
        self._world.change(interaction.room, message, self._content(body), self._components(body))
        return self._world.message(interaction.room, message, live=False)

    async def edit_answer(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        interaction = self._alive(path["webhook_token"])
        message = interaction.room.find(path["message_id"])
        if message is None or message.interaction != interaction.token:
            raise Refusal(404, 10008, "Unknown Message")
        self._attach(message, body)
        self._world.change(interaction.room, message, self._content(body), self._components(body))
        return self._world.message(interaction.room, message, live=False)

    async def follow_up(self, path: Mapping[str, str], query: Mapping[str, str], body: Json) -> Json:
        interaction = self._alive(path["webhook_token"])
        message = self._answer(interaction, self._content(body), int(body.get("flags") or 0))
        message.components = self._components(body) or []
        return self._world.message(interaction.room, message, live=False)

    def _answer(self, interaction: Interaction, content: str, flags: int) -> Message:
        message = Message(
            self._world.snowflake(), self._world.bot, content, flags=flags, interaction=interaction.token
        )
        if flags & EPHEMERAL:
            message.whispered_to = interaction.person
        return self._world.say(interaction.room, message)

    def _alive(self, token: str, seconds: float = TOKEN_SECONDS) -> Interaction:
        interaction = self.interactions.get(token)
        if interaction is None or time.time() - interaction.made > seconds:
            if seconds < TOKEN_SECONDS:
                raise Refusal(404, 10062, "Unknown interaction")
            raise Refusal(401 if interaction else 404, 50027 if interaction else 10015, "Invalid Webhook Token")
        return interaction

    def _original(self, interaction: Interaction) -> Message:
        if interaction.original is None or interaction.original not in interaction.room.messages:
            raise Refusal(404, 10008, "Unknown Message")
        return interaction.original

    def _room(self, path: Mapping[str, str]) -> Room:
        room = self._world.rooms.get(path["channel_id"])
        if room is None:
            raise Refusal(404, 10003, "Unknown Channel")
        if room.forbidden == "access":
            raise Refusal(403, *_FORBIDDEN["access"])
        return room

    def _writable(self, path: Mapping[str, str]) -> Room:
        room = self._room(path)
        if room.forbidden:
            raise Refusal(403, *_FORBIDDEN[room.forbidden])
        return room

    def _content(self, body: Json) -> str:
        content = str(body.get("content") or "").strip()
        if not content:
            raise Refusal(400, 50006, "Cannot send an empty message")
        if len(content) > LIMIT:
            raise invalid("content", "BASE_TYPE_MAX_LENGTH", "Must be 2000 or fewer in length.")
        return content

    def _attach(self, message: Message, body: Json) -> None:
        """The message has what the body says, and nothing else."""
        if body.get("attachments") and self.refuse_files:
            raise Refusal(403, 50013, "Missing Permissions")
        if "attachments" in body:
            message.attachments = []
        for each in body.get("attachments", ()):
            number = self._world.snowflake()
            self.files[number] = each["data"]
            known = {"id": number, "filename": each["filename"], "size": len(each["data"])}
            address = f"https://cdn.test/{number}"
            message.attachments.append({**known, "url": address, "proxy_url": address})

    def _components(self, body: Json) -> list[Json] | None:
        """Rows of at most five buttons, whose custom ids differ:
        https://discord.com/developers/docs/components/reference#action-row"""
        rows: list[Json] | None = body.get("components")
        buttons = [button for row in rows or () for button in row["components"]]
        names = [button["custom_id"] for button in buttons]
        if len(set(names)) < len(names):
            raise invalid(
                "components", "COMPONENT_CUSTOM_ID_DUPLICATED", "Component custom id cannot be duplicated"
            )
        if any(not 1 <= len(row["components"]) <= 5 for row in rows or ()) or len(rows or ()) > 5:
            raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 5 in length.")
        if any(not 1 <= len(name) <= 100 for name in names) or any(len(b["label"]) > 80 for b in buttons):
            raise invalid("components", "BASE_TYPE_BAD_LENGTH", "Must be between 1 and 100 in length.")
        return rows

    def _refer(self, room: Room, message: Message, body: Json) -> None:
        reference = body.get("message_reference")
        if not reference:
            return
        if room.find(reference["message_id"]) is not None:
            message.reference = reference["message_id"]
        elif reference.get("fail_if_not_exists", True):
            raise invalid("message_reference", "REPLIES_UNKNOWN_MESSAGE", "Unknown message")

    def _ping(self, room: Room, message: Message, body: Json) -> None:
        """Whom a message calls. Without `allowed_mentions` it calls everybody whom it names."""
        allowed = body.get("allowed_mentions")
        parse = {"everyone", "users", "roles"} if allowed is None else set(allowed.get("parse") or ())
        if "everyone" in parse:
            self.pinged += [name for name in ("@everyone", "@here") if name in message.content]
        if "users" in parse:
            self.pinged += [user.name for user in self._world.users.values() if f"<@{user.id}>" in message.content]
        message.pings = allowed is None or bool(allowed.get("replied_user"))
        replied = room.find(message.reference) if message.reference else None
        if replied is not None and message.pings:
            self.pinged.append(replied.author.name)

    def _count(self, what: str, room: Room) -> None:
        if not self.limited:
            return
        now, times = time.monotonic(), self._times[what, room.id]
        while times and now - times[0] >= _WINDOW:
            times.popleft()
        if len(times) >= _IN_WINDOW:
            self.floods += 1
            raise Flood(_WINDOW - (now - times[0]))
        times.append(now)

    def headers(self, what: str, room: str) -> dict[str, str]:
        """What Discord says of a route's limit with each answer."""
        times = self._times.get((what, room))
        if not self.limited or not times:
            return {}
        after = max(0.001, _WINDOW - (time.monotonic() - times[0]))
        return {
            "X-RateLimit-Bucket": f"{what}bucket",
            "X-RateLimit-Limit": str(_IN_WINDOW),
            "X-RateLimit-Remaining": str(max(0, _IN_WINDOW - len(times))),
            "X-RateLimit-Reset": f"{time.time() + after:.3f}",
            "X-RateLimit-Reset-After": f"{after:.3f}",
        }
