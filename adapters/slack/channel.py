"""One channel of Slack, or one thread of it, as the delivery planner sees it: Slack's errors end here.

A message carries its key as metadata, so that one whose sending was cut off can be looked for: Slack has no
idempotent send.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, nullcontext
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.delivery import File, Unattached, beside
from adapters.slack.buttons import content
from adapters.slack.client import FAILURES, error_of, translated
from adapters.slack.events import Address
from adapters.slack.history import PAGE, read_page
from adapters.slack.markup import LIMIT, size, unformatted
from adapters.slack.statuses import Statuses
from adapters.slack.uploads import Uploads
from core.errors import Refused
from core.turns import Control

log = logging.getLogger(__name__)

_METADATA = "trialogue_reply"
# Looked through when a message may have been sent: what came after the person's message.
_PAGES = 5
_STREAMING = "streaming_state_conflict"
STOPPED = "stopped_by_user"
ENDED = {"message_not_in_streaming_state", STOPPED}
"""What Slack says of a stream that has ended."""
# Slack could not make blocks of the Markdown. The words must not be lost with their form.
_FORM = {"msg_too_long", "msg_blocks_too_long", "invalid_blocks", "invalid_blocks_format"}


class SlackChannel:
    """Where `address` leads, for one reply of the bot's account `user` to `asker`, which `replaces` messages that
    stand there. A message's id is its ts.

    Slack's limit for new messages is each channel's own, that for edits and for reading the whole bot's: a 429
    pauses as much.
    """

    limit = LIMIT
    streams = False

    def __init__(
        self,
        client: AsyncWebClient,
        statuses: Statuses,
        uploads: Uploads,
        address: Address,
        *,
        user: str,
        asker: str,
        replaces: bool = False,
    ) -> None:
        self._client = client
        self._statuses = statuses
        self._uploads = uploads
        self._replaces = replaces
        self._address = address
        self._user = user
        self._asker = asker

    def size(self, source: str) -> int:
        return size(source)

    async def send(
        self,
        source: str,
        *,
        key: str,
        controls: Sequence[Control] = (),
        grows: bool = False,  # noqa: ARG002
    ) -> str:
        try:
            try:
                return await self._post(key, **content(source, controls))
            except FAILURES as exc:
                _refuses_form(exc)
            return await self._post(key, text=unformatted(source), mrkdwn=False)
        except FAILURES as exc:
            raise translated(exc) from exc

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,  # noqa: ARG002
        file: File | None = None,
        key: str | None = None,
    ) -> None:
        """`key` is given to a message that may have none."""
        named: dict[str, Any] = {} if key is None else {"metadata": metadata(key)}
        try:
            if file is not None:
                named["file_ids"] = [await self._uploads.upload(file)]
            elif self._replaces:
                named["file_ids"] = []  # it may have had one
            try:
                await self._update(message, **content(source, controls), **named)
            except FAILURES as exc:
                _refuses_form(exc)
            else:
                return
            await self._update(message, text=unformatted(source), blocks=[], **named)
        except FAILURES as exc:
            meant = translated(exc, everywhere=True)
            if file is None or not isinstance(meant, Refused):
                raise meant from exc
            log.info("a file is not taken: %s", error_of(exc))
            raise Unattached from exc

    async def tell(self, source: str) -> None:
        try:
            await self._client.chat_postEphemeral(
                channel=self._address.channel, user=self._asker, thread_ts=self._address.thread, text=source
            )
        except FAILURES as exc:
            log.debug("somebody who pressed a button was told nothing: %s", error_of(exc) or type(exc).__name__)

    async def find(self, key: str, source: str) -> str | None:  # noqa: ARG002 - the key says it all
        return await self.first(lambda message: self.has_key(message, key))

    async def first(self, wanted: Callable[[Mapping[str, Any]], bool]) -> str | None:
        """The first message after the person's that is `wanted`, with its metadata; None: there is none."""
        cursor: str | None = None
        for _ in range(_PAGES):
            try:
                messages, cursor = await read_page(
                    self._client,
                    self._address.channel,
                    self._address.thread,
                    oldest=self._address.since,
                    cursor=cursor,
                    metadata=True,
                )
            except FAILURES as exc:
                if error_of(exc) == "thread_not_found":
                    return None
                raise translated(exc, everywhere=True) from exc
            for message in messages:
                if wanted(message):
                    return str(message["ts"])
            if cursor is None:
                return None
        log.warning(
            "a message was looked for in vain among the %d next in %s", PAGE * _PAGES, self._address.channel
        )
        return None

    def typing(self) -> AbstractAsyncContextManager[None]:
        if self._address.thread is None:
            return nullcontext()
        return beside(self._statuses.show(self._address.channel, self._address.thread))

    async def _post(self, key: str, **content: Any) -> str:
        # Neither `link_names` nor `parse`: a name that the model writes calls nobody.
        answer = await self._client.chat_postMessage(
            channel=self._address.channel,
            thread_ts=self._address.thread,
            metadata=metadata(key),
            unfurl_links=False,
            unfurl_media=False,
            **content,
        )
        return str(answer["ts"])

    async def _update(self, message: str, **content: Any) -> None:
        try:
            await self._client.chat_update(channel=self._address.channel, ts=message, **content)
        except FAILURES as exc:
            if error_of(exc) != _STREAMING:
                raise
        else:
            return
        # Another worker began it as a stream, and did not come to its end.
        try:
            await self._client.chat_stopStream(channel=self._address.channel, ts=message)
        except FAILURES as exc:
            if error_of(exc) not in ENDED:
                raise
        await self._client.chat_update(channel=self._address.channel, ts=message, **content)

    def has_key(self, message: Mapping[str, Any], key: str) -> bool:
        name = message.get("metadata") or {}
        return (
            message.get("user") == self._user
            and name.get("event_type") == _METADATA
            and (name.get("event_payload") or {}).get("key") == key
        )


def metadata(key: str) -> dict[str, Any]:
    """What says which part of which reply a message is."""
    return {"event_type": _METADATA, "event_payload": {"key": key}}


def _refuses_form(exc: Exception) -> None:
    """Raise `exc` again, unless it says that Slack could not render the text."""
    if error_of(exc) not in _FORM:
        raise exc
    log.warning("Slack refused the formatting of a message; it is sent plain: %s", error_of(exc))
