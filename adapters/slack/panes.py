"""Slack's assistant pane: a thread that a person opens for itself, with something to begin with and a title.

It is there where the app has that feature, and all of it only helps: its failures are logged and no more.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Awaitable, Mapping
from typing import Any

import msgspec
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.client import FAILURES, error_of
from adapters.slack.names import Names
from adapters.slack.readable import readable
from core.languages import msgid, translated

log = logging.getLogger(__name__)

PROMPTS = (
    (msgid("What can you do?"), "!help"),
    (msgid("Explain something"), msgid("Explain to me in simple words how a rainbow comes about.")),
    (msgid("Write something"), msgid("Write a short, friendly thank-you note to a colleague.")),
)
"""What is suggested: how it reads, and what a person says by choosing it."""

_LONGEST_TITLE = 60
_REMEMBERED = 1000
_WITHIN = 1.0  # seconds; the event must be acknowledged within three


class _Opened(msgspec.Struct, frozen=True):
    user_id: str
    channel_id: str
    thread_ts: str


class Panes:
    """The panes that were opened while this process listens."""

    def __init__(self, client: AsyncWebClient, names: Names) -> None:
        self._client = client
        self._names = names
        self._untitled: OrderedDict[tuple[str, str], None] = OrderedDict()

    async def opened(self, payload: Mapping[str, Any]) -> None:
        """The inner event of a pane that was opened: suggest what to begin with."""
        try:
            pane = msgspec.convert(payload.get("assistant_thread"), _Opened)
        except msgspec.ValidationError as exc:
            log.warning("an event that cannot be read is left out: %s", type(exc).__name__)
            return
        self._untitled[pane.channel_id, pane.thread_ts] = None
        if len(self._untitled) > _REMEMBERED:
            self._untitled.popitem(last=False)
        await self._names.of([pane.user_id])
        locale = self._names.locale(pane.user_id)
        prompts = [
            {"title": translated(title, locale), "message": translated(said, locale)} for title, said in PROMPTS
        ]
        await _try(
            self._client.assistant_threads_setSuggestedPrompts(
                channel_id=pane.channel_id, thread_ts=pane.thread_ts, prompts=prompts
            )
        )

    async def said(self, payload: Mapping[str, Any]) -> None:
        """A message, which gives a pane its title if it is the first one there."""
        pane = str(payload.get("channel")), str(payload.get("thread_ts"))
        words = " ".join(readable(str(payload.get("text") or ""), {}).split())
        if pane not in self._untitled or payload.get("bot_id") or not words:
            return
        del self._untitled[pane]
        title = words if len(words) <= _LONGEST_TITLE else f"{words[: _LONGEST_TITLE - 1]}…"
        await _try(self._client.assistant_threads_setTitle(channel_id=pane[0], thread_ts=pane[1], title=title))


async def _try(call: Awaitable[object]) -> None:
    try:
        async with asyncio.timeout(_WITHIN):
            await call
    except FAILURES as exc:
        log.info("a pane is left as it is: %s", error_of(exc) or type(exc).__name__)
