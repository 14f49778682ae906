""" "is thinking…" under a thread. Slack has it for threads only, and takes it away when a message comes.

The method needs `chat:write` and a thread: https://docs.slack.dev/reference/methods/assistant.threads.setStatus
"""

import asyncio
import logging
from collections import OrderedDict

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.client import FAILURES, error_of

log = logging.getLogger(__name__)

_STATUS = "is thinking…"
# Slack takes a status away after two minutes.
_RENEWED = 90.0
_WITHIN = 5.0
_REMEMBERED = 1000
# No room of this workspace will have it.
_NEVER = {"missing_scope", "unknown_method", "not_allowed_token_type", "feature_disabled", "method_deprecated"}
_PASSING = {"", "ratelimited", "fatal_error", "internal_error", "request_timeout", "service_unavailable"}


class Statuses:
    """Shows that the bot thinks, where it may. Never raises; a channel that does not have it is asked once."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._refused: OrderedDict[str, None] = OrderedDict()
        self._never = False

    async def show(self, channel: str, thread: str) -> None:
        """Until cancelled, or until Slack says that there is no such thing here."""
        while self._may_in(channel):
            if await self._set(channel, thread):
                await asyncio.sleep(_RENEWED)

    def _may_in(self, channel: str) -> bool:
        return not self._never and channel not in self._refused

    async def _set(self, channel: str, thread: str) -> bool:
        try:
            async with asyncio.timeout(_WITHIN):
                await self._client.assistant_threads_setStatus(
                    channel_id=channel, thread_ts=thread, status=_STATUS
                )
        except FAILURES as exc:
            error = error_of(exc)
            log.debug("no status in %s: %s", channel, error or type(exc).__name__)
            self._never = self._never or error in _NEVER
            if error not in _PASSING:
                self._refuse(channel)
        return self._may_in(channel)

    def _refuse(self, channel: str) -> None:
        self._refused[channel] = None
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
