"""Slack's Web API: the SDK's client as we use it, and what its errors mean. Knows no room and no reply.

By itself the SDK repeats a call after a cut connection, also a `chat.postMessage` that had worked. Here it repeats
nothing: whoever calls knows whether a second try may do harm.
"""

import logging
from typing import Any, Literal

import aiohttp
from slack_sdk.errors import SlackApiError  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.delivery import Limited, MessageGone, Unavailable
from adapters.slack.refusals import refused

SDK_LOG = logging.getLogger("adapters.slack.sdk")
# Below this level the SDKs log whole requests and answers, and with them what people wrote.
SDK_LOG.setLevel(logging.ERROR)

FAILURES = (SlackApiError, aiohttp.ClientError, OSError, ValueError, AttributeError)
"""What a call of the SDK raises: its own error, the connection's, and what it stumbles over when the answer is not
JSON. A time-out is an OSError."""

_CALL_SECONDS = 20.0
_GONE = {"message_not_found", "cant_update_message", "edit_window_closed"}
_LIMITED = {"ratelimited", "rate_limited", "message_limit_exceeded"}
# An empty name: it was not Slack that answered. While a workspace moves, it is away.
_BROKEN = {"", "fatal_error", "internal_error", "request_timeout", "service_unavailable", "update_failed"}
_BROKEN |= {"team_added_to_org", "external_channel_migrating"}
# Slack always says how long; this is for a proxy that answers in its place.
_SILENCE = 10.0


def open_session() -> aiohttp.ClientSession:
    return aiohttp.ClientSession(timeout=aiohttp.ClientTimeout(total=_CALL_SECONDS))


def web_client(session: aiohttp.ClientSession, *, token: str | None, api_base: str) -> AsyncWebClient:
    """Without a token of a bot for what the app itself asks."""
    return AsyncWebClient(token=token, base_url=api_base, session=session, retry_handlers=[], logger=SDK_LOG)


def error_of(exc: BaseException) -> str:
    """Slack's name for what went wrong; empty when Slack itself did not answer."""
    answer = getattr(getattr(exc, "response", None), "data", None)
    return str(answer.get("error", "")) if isinstance(answer, dict) else ""


def translated(exc: Exception, *, everywhere: bool = False, kind: Literal["bot", "app"] = "bot") -> Exception:
    """What a failure of a call means to the planner. `everywhere`: the method's limit is the whole bot's."""
    response = getattr(exc, "response", None)
    if response is None:
        return Unavailable(in_doubt=not isinstance(exc, aiohttp.ClientConnectorError))
    # The SDK hands out aiohttp's own response when the answer should have been JSON and was not.
    status = int(getattr(response, "status_code", 0) or getattr(response, "status", 0))
    error = error_of(exc)
    if status == 429 or error in _LIMITED:
        return Limited(_retry_after(response), everywhere=everywhere)
    if error in _GONE:
        return MessageGone()
    if status >= 500 or error in _BROKEN:
        return Unavailable(in_doubt=True)
    return refused(error, needed=str(response.data.get("needed") or ""), kind=kind)


def _retry_after(response: Any) -> float:
    try:
        return float(response.headers["Retry-After"])
    except (KeyError, TypeError, ValueError):
        return _SILENCE
