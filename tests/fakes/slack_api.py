"""The methods of the Web API that the bot uses: what they do to the world, and when they refuse. Knows no HTTP."""

import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from typing import Any

from adapters.slack.markup import LIMIT
from tests.fakes.slack_world import APP, Json, Place, World

ALL_SCOPES = frozenset(
    {
        "app_mentions:read",
        "channels:history",
        "channels:read",
        "chat:write",
        "commands",
        "groups:history",
        "groups:read",
        "im:history",
        "im:read",
        "mpim:history",
        "mpim:read",
        "files:read",
        "files:write",
        "users:read",
    }
)

_NAMES = {"im": "im", "channel": "channels", "group": "groups", "mpim": "mpim"}
_PAGE = 100
STREAM_SECONDS = 300.0


class SlackError(Exception):
    """An answer that is not ok."""

    def __init__(self, error: str, *, retry_after: int | None = None, **more: str) -> None:
        super().__init__(error)
        self.error = error
        self.retry_after = retry_after
        self.body: Json = {"ok": False, "error": error} | more


class WebApi:
    """Calls of one app with `scopes`. With `rates`, each channel takes a message a second, and the workspace 50
    edits, and so many readings of channels and of threads, a minute; without, none is too many."""

    def __init__(self, world: World, *, rates: bool) -> None:
        self.scopes = set(ALL_SCOPES)
        self.app_scopes = {"connections:write"}
        self.refuse_status = False
        self.file_base = ""
        self.sent: dict[str, Json] = {}  # files that the app has uploaded, by their ids
        self.refuse_streams = ""  # the error
        self.streams: dict[str, float] = {}  # when each was begun that has not been stopped
        self.stopped: set[str] = set()  # streams that a reader has stopped
        self.most_in_page = 999
        self._world = world
        self._rates = rates
        self._spent: defaultdict[str, list[float]] = defaultdict(list)
        self._methods: dict[str, Callable[[Json], Json]] = {
            "auth.test": self._auth_test,
            "users.info": self._users_info,
            "conversations.info": self._conversations_info,
            "conversations.history": self._conversations_history,
            "conversations.replies": self._conversations_replies,
            "chat.postMessage": self._chat_post_message,
            "chat.postEphemeral": self._chat_post_ephemeral,
            "chat.update": self._chat_update,
            "files.getUploadURLExternal": self._upload_url,
            "files.completeUploadExternal": self._complete_upload,
            "chat.startStream": self._start_stream,
            "chat.appendStream": self._append_stream,
            "chat.stopStream": self._stop_stream,
            "assistant.threads.setStatus": self._set_status,
            "assistant.threads.setSuggestedPrompts": self._set_prompts,
            "assistant.threads.setTitle": self._set_title,
        }

    def call(self, method: str, params: Json) -> Json:
        """Do what `method` does. Raises `SlackError`."""
        if method not in self._methods:
            raise SlackError("unknown_method")
        return {"ok": True} | self._methods[method](params)

    def _auth_test(self, _: Json) -> Json:
        return {
            "url": "https://example.slack.com/",
            "team": "Example",
            "user": "trialogue",
            "team_id": self._world.team,
            "user_id": self._world.bot,
            "bot_id": self._world.bot_id,
            "is_enterprise_install": False,
        }

    def _users_info(self, params: Json) -> Json:
        self._need("users:read")
        for person in self._world.people.values():
            if person["id"] == params["user"]:
                hidden = () if params.get("include_locale") in {True, "1", "true"} else ("locale",)
                return {"user": {key: value for key, value in person.items() if key not in hidden}}
        raise SlackError("user_not_found")

    def _conversations_info(self, params: Json) -> Json:
        place = self._place(params)
        self._need(f"{_NAMES[place.kind]}:read")
        if place.kind != "channel" and not place.member:
            raise SlackError("channel_not_found")
        return {"channel": place.json()}

    def _conversations_history(self, params: Json) -> Json:
        place = self._readable(params)
        self._spend("history", 50, 60.0)
        found = [
            message for message in place.messages.values() if not _in_thread(message) and _asked(message, params)
        ]
        return _page(found[::-1], params, self.most_in_page)

    def _conversations_replies(self, params: Json) -> Json:
        place, thread = self._readable(params), params["ts"]
        if thread not in place.messages:
            raise SlackError("thread_not_found")
        self._spend("replies", 50, 60.0)
        # The message that the thread stands under comes with it, however old it is.
        found = [
            message
            for ts, message in place.messages.items()
            if ts == thread or (message.get("thread_ts") == thread and _asked(message, params))
        ]
        return _page(found, params, self.most_in_page)

    def _chat_post_message(self, params: Json) -> Json:
        self._need("chat:write")
        place = self._writable(params)
        self._spend(f"post {place.id}", 1, 1.0)
        content = _content(params)
        thread = params.get("thread_ts")
        if thread is not None and thread not in place.messages:
            raise SlackError("cannot_reply_to_message")
        fields = content | {"bot_id": self._world.bot_id, "app_id": APP}
        if "metadata" in params:
            fields["metadata"] = params["metadata"]
        message = self._world.post(place, self._world.bot, thread, fields)
        self._world.push(self._world.message_event(place, message))
        return {"channel": place.id, "ts": message["ts"], "message": message}

    def _chat_update(self, params: Json) -> Json:
        self._need("chat:write")
        place = self._place(params)
        if not place.member:
            raise SlackError("channel_not_found")
        self._spend("update", 50, 60.0)
        message = place.messages.get(params["ts"])
        if message is None:
            raise SlackError("message_not_found")
        if message.get("user") != self._world.bot:
            raise SlackError("cant_update_message")
        if self._is_streaming(message):
            raise SlackError("streaming_state_conflict")
        content, before = _content(params), dict(message)
        if params.get("blocks") == [] or "blocks" in content or "markdown_text" in params:
            message.pop("blocks", None)
        if "metadata" in params:
            message["metadata"] = params["metadata"]
        if "file_ids" in params:
            message["files"] = [self._complete(number) for number in params["file_ids"].split(",") if number]
        message |= content | {"edited": {"user": self._world.bot, "ts": self._world.now()}}
        self._world.push(self._world.changed_event(place, message, before))
        return {"channel": place.id, "ts": message["ts"], "text": message["text"], "message": message}

    def _upload_url(self, params: Json) -> Json:
        self._need("files:write")
        number = f"F0SENT{len(self.sent) + 1}"
        self.sent[number] = {"id": number, "name": params["filename"], "size": int(params["length"])}
        return {"upload_url": f"{self.file_base}sent/{number}", "file_id": number}

    def _complete_upload(self, params: Json) -> Json:
        self._need("files:write")
        for each in json.loads(params["files"]):
            if len(self.sent[each["id"]].get("data", b"")) != self.sent[each["id"]]["size"]:
                raise SlackError("invalid_arguments")
            self.sent[each["id"]]["complete"] = True
        return {"files": json.loads(params["files"])}

    def _complete(self, number: str) -> Json:
        if not self.sent.get(number, {}).get("complete"):
            raise SlackError("file_not_found")
        return {key: self.sent[number][key] for key in ("id", "name", "size")}

    def _start_stream(self, params: Json) -> Json:
        self._need("chat:write")
        place, thread = self._writable(params), params.get("thread_ts")
        if self.refuse_streams:
            raise SlackError(self.refuse_streams)
        if place.kind != "im" and not (params.get("recipient_team_id") and params.get("recipient_user_id")):
            raise SlackError("missing_recipient_user_id")
        if thread not in place.messages:
            raise SlackError("restricted_action_non_threadable_channel")
        self._spend("start stream", 20, 60.0)
        if "markdown_text" in params and not params["markdown_text"]:
            raise SlackError("no_text")
        fields = _streamed(params.get("markdown_text", ""))
        message = self._world.post(
            place, self._world.bot, thread, fields | {"bot_id": self._world.bot_id, "app_id": APP}
        )
        self.streams[message["ts"]] = self._world.time()
        self._world.push(self._world.message_event(place, message))
        return {"channel": place.id, "ts": message["ts"]}

    def _append_stream(self, params: Json) -> Json:
        message = self._streaming(params)
        self._spend("append to stream", 100, 60.0)
        if not params["markdown_text"]:
            raise SlackError("no_text")
        message |= _streamed(message["blocks"][0]["text"] + params["markdown_text"])
        return {"channel": params["channel"], "ts": message["ts"]}

    def _stop_stream(self, params: Json) -> Json:
        message = self._streaming(params)
        self._spend("stop stream", 20, 60.0)
        content = _streamed(message["blocks"][0]["text"] + params.get("markdown_text", ""))
        content["blocks"] += _checked(params.get("blocks", []))
        message |= content
        if "metadata" in params:
            message["metadata"] = params["metadata"]
        del self.streams[message["ts"]]
        return {"channel": params["channel"], "ts": message["ts"], "message": message}

    def _streaming(self, params: Json) -> Json:
        """The message that a stream's call is about."""
        self._need("chat:write")
        message = self._writable(params).messages.get(params["ts"])
        if message is None:
            raise SlackError("message_not_found")
        if message.get("user") != self._world.bot:
            raise SlackError("message_not_owned_by_app")
        if message["ts"] in self.stopped:
            raise SlackError("stopped_by_user")
        if not self._is_streaming(message):
            raise SlackError("message_not_in_streaming_state")
        return message

    def _is_streaming(self, message: Json) -> bool:
        """Five minutes after it was begun Slack ends it, and sooner if a reader does."""
        begun = None if message["ts"] in self.stopped else self.streams.get(message["ts"])
        return begun is not None and self._world.time() - begun < STREAM_SECONDS

    def _chat_post_ephemeral(self, params: Json) -> Json:
        self._need("chat:write")
        place = self._writable(params)
        self._world.ephemeral.append({"place": place.name} | params)
        return {"message_ts": self._world.now()}

    def _set_status(self, params: Json) -> Json:
        if self.refuse_status or not self.scopes & {"chat:write", "assistant:write"}:
            raise SlackError("no_permission")
        place = self._world.places.get(params["channel_id"])
        if place is None:
            raise SlackError("channel_not_found")
        if params["thread_ts"] not in place.messages:
            raise SlackError("invalid_thread_ts")
        self._world.statuses.append(dict(params))
        return {}

    def _set_prompts(self, params: Json) -> Json:
        pane = self._pane(params)
        if not 1 <= len(params["prompts"]) <= 4:
            raise SlackError("invalid_arguments")
        self._world.prompts[pane] = params["prompts"]
        return {}

    def _set_title(self, params: Json) -> Json:
        self._world.titles[self._pane(params)] = params["title"]
        return {}

    def _pane(self, params: Json) -> str:
        """The thread of a pane."""
        self._need("assistant:write")
        place = self._world.places.get(params["channel_id"])
        if place is None or place.kind != "im":
            raise SlackError("channel_not_found")
        if params["thread_ts"] not in place.messages:
            raise SlackError("invalid_thread_ts")
        return str(params["thread_ts"])

    def _need(self, scope: str) -> None:
        if scope not in self.scopes:
            raise SlackError("missing_scope", needed=scope, provided=",".join(sorted(self.scopes)))

    def _place(self, params: Json) -> Place:
        if (place := self._world.places.get(params["channel"])) is None:
            raise SlackError("channel_not_found")
        return place

    def _readable(self, params: Json) -> Place:
        place = self._place(params)
        self._need(f"{_NAMES[place.kind]}:history")
        if not place.member:
            raise SlackError("channel_not_found")
        return place

    def _writable(self, params: Json) -> Place:
        place = self._place(params)
        if place.archived:
            raise SlackError("is_archived")
        if not place.member:
            raise SlackError("not_in_channel" if place.kind == "channel" else "channel_not_found")
        return place

    def _spend(self, what: str, count: int, seconds: float) -> None:
        if not self._rates:
            return
        # A tenth of tolerance, since what left in time may arrive together.
        now, seconds = time.monotonic(), 0.9 * seconds
        spent = self._spent[what] = [moment for moment in self._spent[what] if moment > now - seconds]
        if len(spent) >= count:
            raise SlackError("ratelimited", retry_after=1 + int(spent[0] + seconds - now))
        spent.append(now)


def _content(params: Json) -> Json:
    """What a message reads. Slack makes blocks of Markdown; here they are one that keeps it."""
    markdown, text = params.get("markdown_text"), params.get("text")
    if markdown is not None and (text is not None or "blocks" in params):
        raise SlackError("markdown_text_conflict")
    if markdown is not None:
        if not markdown.strip():
            raise SlackError("no_text")
        if len(markdown.encode("utf-16-le")) // 2 > LIMIT:
            raise SlackError("msg_too_long")
        return {"text": markdown[:150], "blocks": [{"type": "markdown", "text": markdown}]}
    if params.get("blocks"):
        return {"text": text or "", "blocks": _checked(params["blocks"])}
    if not (text or "").strip():
        raise SlackError("no_text")
    return {"text": text}


def _streamed(text: str) -> Json:
    """What a stream reads so far."""
    if len(text.encode("utf-16-le")) // 2 > LIMIT:
        raise SlackError("msg_blocks_too_long")
    return {"text": text[:150], "blocks": [{"type": "markdown", "text": text}]}


def _checked(blocks: list[Json]) -> list[Json]:
    """Blocks as far as the bot uses them: https://docs.slack.dev/reference/block-kit/blocks"""
    if len(blocks) > 50:
        raise SlackError("invalid_blocks")
    names: list[str] = []
    for block in blocks:
        match block["type"]:
            case "markdown":
                if not block["text"].strip():
                    raise SlackError("no_text")
                if len(block["text"].encode("utf-16-le")) // 2 > LIMIT:
                    raise SlackError("msg_blocks_too_long")
            case "actions" | "context_actions" as kind:
                most = 25 if kind == "actions" else 5
                elements = block["elements"]
                of_kind = {"button"} if kind == "actions" else {"feedback_buttons", "icon_button"}
                if not 1 <= len(elements) <= most or {each["type"] for each in elements} - of_kind:
                    raise SlackError("invalid_blocks")
                names += [each["action_id"] for each in elements]
            case _:
                raise SlackError("invalid_blocks")
    if len(set(names)) < len(names) or any(len(name) > 255 for name in names):
        raise SlackError("invalid_blocks")
    return blocks


def _in_thread(message: Json) -> bool:
    """Whether it is shown in its thread only."""
    return (
        message.get("thread_ts", message["ts"]) != message["ts"] and message.get("subtype") != "thread_broadcast"
    )


def _asked(message: Json, params: Json) -> bool:
    """Whether it is newer than `oldest` and older than `latest`; those moments belong to it if `inclusive`."""
    moment, oldest, latest = (
        float(ts) for ts in (message["ts"], params.get("oldest", 0), params.get("latest", "inf"))
    )
    return oldest < moment < latest or (_is_true(params.get("inclusive")) and moment in (oldest, latest))


def _is_true(value: object) -> bool:
    return value in (True, "1", "true")


def _page(messages: list[Json], params: Json, most: int) -> Json:
    """A page of `messages`."""
    wanted = _is_true(params.get("include_all_metadata"))

    def shown(message: Json) -> Iterator[tuple[str, Any]]:
        return ((key, value) for key, value in message.items() if key != "metadata" or wanted)

    first = int(params.get("cursor") or 0)
    size = min(int(params.get("limit", _PAGE)), most)
    more = first + size < len(messages)
    page: Json = {
        "messages": [dict(shown(message)) for message in messages[first : first + size]],
        "has_more": more,
    }
    return page | ({"response_metadata": {"next_cursor": str(first + size)}} if more else {})
