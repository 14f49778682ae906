"""The methods of the Bot API, over a `World`. Knows no HTTP: parameters in, a result or a `Refusal` out."""

import asyncio
import itertools
import math
from collections import defaultdict, deque

from tests.fakes.telegram_text import ENTITY_LIMIT, LIMIT, Json, entity_fault, pinged, units
from tests.fakes.telegram_world import Chat, World

CAPTION_LIMIT = 1024


class Refusal(Exception):
    """The Bot API's answer to a call that it does not do."""

    def __init__(self, code: int, description: str, **parameters: int) -> None:
        super().__init__(description)
        self.code = code
        self.body = {"ok": False, "error_code": code, "description": description}
        if parameters:
            self.body["parameters"] = parameters


class BotApi:
    """What the bot may do. `rates`: flood limits are enforced. `refuse_entities`: no formatting is taken. `drafts`
    are those that were shown: chat, number and text.

    `called` are the people whom the bot's messages have pinged, `typing` the rooms in which it typed, `limited`
    how often it went over its limits.
    """

    def __init__(self, world: World, *, rates: bool) -> None:
        self.rates = rates
        self.refuse_entities = False
        self.called: list[str] = []
        self.commands: dict[str, list[Json]] = {}
        self.typing: list[tuple[int, int | None]] = []
        self.webhook: Json = {"url": ""}
        self.limited = 0
        self.takes_drafts = self.takes_files = True
        self.uploaded: dict[str, tuple[str, bytes]] = {}
        self.drafts: list[tuple[int, int, str]] = []
        self.closing = False
        self._world = world
        self._poll = 0
        self._sent: defaultdict[int | str, deque[float]] = defaultdict(deque)

    async def call(self, method: str, params: Json) -> object:
        """The result of a method, whose name may be written in any case. Raises `Refusal`."""
        handler = getattr(self, f"_on_{method.lower()}", None)
        if handler is None:
            raise Refusal(404, "Not Found: method not found")
        result = handler(params)
        return await result if asyncio.iscoroutine(result) else result

    def _on_getme(self, params: Json) -> Json:
        return self._world.me | {
            "can_read_all_group_messages": not self._world.privacy,
            "supports_inline_queries": False,
        }

    async def _on_getupdates(self, params: Json) -> list[Json]:
        if self.webhook["url"]:
            raise Refusal(
                409,
                "Conflict: can't use getUpdates method while webhook is active; "
                "use deleteWebhook to delete the webhook first",
            )
        self._world.allowed = params.get("allowed_updates", self._world.allowed)
        offset = params.get("offset", 0)
        while self._world.pending and self._world.pending[0]["update_id"] < offset:
            self._world.pending.popleft()
        self._poll += 1
        poll = self._poll

        def over() -> bool:
            return bool(self._world.pending) or self._poll != poll or self.closing

        async with self._world.changed:
            self._world.changed.notify_all()
            try:
                async with asyncio.timeout(params.get("timeout", 0)):
                    await self._world.changed.wait_for(over)
            except TimeoutError:
                return []
        if self._poll != poll:
            raise Refusal(
                409,
                "Conflict: terminated by other getUpdates request; "
                "make sure that only one bot instance is running",
            )
        return list(itertools.islice(self._world.pending, params.get("limit", 100)))

    def _on_setwebhook(self, params: Json) -> bool:
        if not params["url"].startswith(("https://", "http://127.0.0.1")):
            raise Refusal(400, "Bad Request: bad webhook: An HTTPS URL must be provided for webhook")
        self._world.allowed = params.get("allowed_updates", self._world.allowed)
        self.webhook = dict(params)
        self._poll += 1
        return True

    def _on_deletewebhook(self, params: Json) -> bool:
        self.webhook = {"url": ""}
        return True

    def _on_getwebhookinfo(self, params: Json) -> Json:
        shown = {k: v for k, v in self.webhook.items() if k != "secret_token"}
        return shown | {"has_custom_certificate": False, "pending_update_count": len(self._world.pending)}

    def _on_setmycommands(self, params: Json) -> bool:
        self.commands[_menu(params)] = params["commands"]
        return True

    def _on_getmycommands(self, params: Json) -> list[Json]:
        return self.commands.get(_menu(params), [])

    def _on_getchat(self, params: Json) -> Json:
        chat = self._open(params)
        return chat.json() | {"accent_color_id": 0, "max_reaction_count": 11, "accepted_gift_types": {}}

    def _on_getchatmember(self, params: Json) -> Json:
        self._open(params)
        member = self._world.member(params["user_id"])
        if member is None:
            raise Refusal(400, "Bad Request: PARTICIPANT_ID_INVALID")
        return member

    def _on_sendchataction(self, params: Json) -> bool:
        chat = self._open(params)
        self.typing.append((chat.id, params.get("message_thread_id")))
        return True

    def _on_sendmessage(self, params: Json) -> Json:
        chat = self._open(params)
        topic = params.get("message_thread_id")
        if topic is not None and topic not in chat.topics:
            raise Refusal(400, "Bad Request: message thread not found")
        self._pace(chat)
        content = self._content(params)
        answered = params.get("reply_parameters")
        if answered is not None and answered["message_id"] not in chat.messages:
            if not answered.get("allow_sending_without_reply"):
                raise Refusal(400, "Bad Request: message to be replied not found")
            answered = None
        content |= self._keyboard(params)
        message = self._world.message(chat, self._world.me, topic=topic, fields=content)
        if answered is not None:
            message["reply_to_message"] = chat.messages[answered["message_id"]]
        return message

    def _on_sendmessagedraft(self, params: Json) -> bool:
        if not self.takes_drafts:
            raise Refusal(404, "Not Found: method not found")
        chat = self._open(params)
        if chat.type != "private":
            raise Refusal(400, "Bad Request: drafts can be sent to private chats only")
        if not params["draft_id"]:
            raise Refusal(400, "Bad Request: DRAFT_ID_INVALID")
        if params.get("message_thread_id") not in {None, *chat.topics}:
            raise Refusal(400, "Bad Request: message thread not found")
        self.drafts.append((chat.id, params["draft_id"], self._content(params)["text"]))
        return True

    def _on_editmessagetext(self, params: Json) -> Json:
        chat = self._open(params)
        message = chat.messages.get(params["message_id"])
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != self._world.me["id"]:
            raise Refusal(400, "Bad Request: message can't be edited")
        if "document" in message:
            raise Refusal(400, "Bad Request: there is no text in the message to edit")
        self._pace(chat)
        content = self._content(params)
        content |= self._keyboard(params)
        if (
            content == {key: message.get(key) for key in content}
            and "reply_markup" not in message.keys() - content
        ):
            raise Refusal(
                400,
                "Bad Request: message is not modified: specified new message content and reply markup are exactly "
                "the same as a current content and reply markup of the message",
            )
        message.pop("reply_markup", None)
        message |= content | {"edit_date": self._world.now()}
        return message

    def _on_editmessagemedia(self, params: Json) -> Json:
        message = self._ours(params)
        if not self.takes_files:
            raise Refusal(400, "Bad Request: not enough rights to send documents to the chat")
        media = params["media"]
        name, data = self.uploaded[media["media"].removeprefix("attach://")]
        number = f"sent_{len(self._world.uploads) + 1}"
        self._world.uploads[number] = data
        self._caption(message, media.get("caption", ""), media.get("caption_entities", []))
        document = {"file_id": number, "file_unique_id": number, "file_name": name, "file_size": len(data)}
        message |= {"document": document, "edit_date": self._world.now()} | self._keyboard(params)
        return message

    def _on_editmessagecaption(self, params: Json) -> Json:
        message = self._ours(params)
        if "document" not in message:
            raise Refusal(400, "Bad Request: there is no caption in the message to edit")
        self._caption(message, params.get("caption", ""), params.get("caption_entities", []))
        message |= {"edit_date": self._world.now()} | self._keyboard(params)
        return message

    def _ours(self, params: Json) -> Json:
        chat = self._open(params)
        message = chat.messages.get(params["message_id"])
        if message is None:
            raise Refusal(400, "Bad Request: message to edit not found")
        if message["from"]["id"] != self._world.me["id"]:
            raise Refusal(400, "Bad Request: message can't be edited")
        self._pace(chat)
        return message

    def _caption(self, message: Json, caption: str, entities: list[Json]) -> None:
        if units(caption) > CAPTION_LIMIT:
            raise Refusal(400, "Bad Request: message caption is too long")
        for gone in ("text", "entities", "reply_markup"):
            message.pop(gone, None)
        message |= {"caption": caption, "caption_entities": entities}

    def _on_getfile(self, params: Json) -> Json:
        if (data := self._world.uploads.get(params["file_id"])) is None:
            raise Refusal(400, "Bad Request: invalid file_id")
        if len(data) > 20 * 1024 * 1024:
            raise Refusal(400, "Bad Request: file is too big")
        number = params["file_id"]
        return {
            "file_id": number,
            "file_unique_id": number,
            "file_size": len(data),
            "file_path": f"documents/{number}",
        }

    def _on_answercallbackquery(self, params: Json) -> bool:
        query, text = params["callback_query_id"], params.get("text", "")
        if self._world.queries.get(query, "answered") is not None:
            raise Refusal(400, "Bad Request: query is too old and response timeout expired or query ID is invalid")
        if len(text) > 200:
            raise Refusal(400, "Bad Request: MESSAGE_TOO_LONG")
        self._world.queries[query] = text
        return True

    def _open(self, params: Json) -> Chat:
        chat = self._world.chats.get(params["chat_id"])
        if chat is None:
            raise Refusal(400, "Bad Request: chat not found")
        if chat.moved_to is not None:
            raise Refusal(
                400,
                "Bad Request: group chat was upgraded to a supergroup chat",
                migrate_to_chat_id=chat.moved_to,
            )
        match chat.standing:
            case "kicked":
                raise Refusal(403, f"Forbidden: bot was kicked from the {chat.type} chat")
            case "blocked":
                raise Refusal(403, "Forbidden: bot was blocked by the user")
            case "restricted":
                raise Refusal(400, "Bad Request: not enough rights to send text messages to the chat")
        return chat

    def _content(self, params: Json) -> Json:
        text: str = params.get("text", "")
        if not text.strip():
            raise Refusal(400, "Bad Request: message text is empty")
        if units(text) > LIMIT:
            raise Refusal(400, "Bad Request: message is too long")
        entities = params.get("entities", [])[:ENTITY_LIMIT]
        if entities and self.refuse_entities:
            raise Refusal(400, "Bad Request: can't parse entities")
        if fault := entity_fault(text, entities):
            raise Refusal(400, f"Bad Request: {fault}")
        self.called += pinged(text, entities)
        return {"text": text, "entities": entities}

    def _keyboard(self, params: Json) -> Json:
        if not (markup := params.get("reply_markup")):
            return {}
        for button in (button for row in markup["inline_keyboard"] for button in row):
            if not 1 <= len(button["callback_data"].encode()) <= 64:
                raise Refusal(400, "Bad Request: BUTTON_DATA_INVALID")
        return {"reply_markup": markup}

    def _pace(self, chat: Chat) -> None:
        """A tenth of tolerance, since what left in time may arrive together."""
        if not self.rates:
            return
        now = asyncio.get_running_loop().time()
        windows: list[tuple[int | str, int, float]] = [(chat.id, 1, 0.9), ("bot", 30, 0.9)]
        if chat.type != "private":
            windows.append((f"{chat.id} a minute", 20, 54.0))
        for name, count, seconds in windows:
            times = self._sent[name]
            while times and times[0] <= now - seconds:
                times.popleft()
            if len(times) >= count:
                self.limited += 1
                raise flood(times[0] + seconds - now)
        for name, _, _ in windows:
            self._sent[name].append(now)


def _menu(params: Json) -> str:
    """The language for which a menu is set, behind the scope unless that is the default one."""
    scope = params.get("scope", {"type": "default"})["type"]
    return "/".join(filter(None, ("" if scope == "default" else scope, params.get("language_code", ""))))


def flood(seconds: float) -> Refusal:
    after = max(1, math.ceil(seconds))
    return Refusal(429, f"Too Many Requests: retry after {after}", retry_after=after)
