"""One thread of Slack as the delivery planner sees it, where Slack lets a message grow by itself.

A stream is begun, appended to and stopped, by calls of its own; until it is stopped it cannot be edited. When the
text turns out otherwise than was streamed, when an append may have failed, or before Slack ends the stream by
itself, it is stopped, and the message goes on by edits. Whatever the stream has shown, in the end the message
reads the whole text.

The beginning of a stream takes no metadata. One that may have been begun is known by having none: all our other
messages have their key.
"""

import logging
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.delivery import File
from adapters.slack.buttons import blocks
from adapters.slack.channel import ENDED, STOPPED, SlackChannel, metadata
from adapters.slack.client import FAILURES, error_of, translated
from adapters.slack.events import Account, Address
from adapters.slack.markup import LIMIT, render
from adapters.slack.streams import Stream, Streams
from core.errors import Refused
from core.turns import Control

log = logging.getLogger(__name__)

_FORM = {"invalid_blocks", "invalid_blocks_format", "msg_blocks_too_long", "no_text"}


class StreamChannel:
    """The thread to which `plain` leads, for one reply to `asker`. `keys` are those of its messages that stand
    there already, by their ids. `stopped` is told when somebody has stopped a stream by Slack's own means."""

    limit = LIMIT
    streams = True

    def __init__(
        self,
        client: AsyncWebClient,
        streams: Streams,
        plain: SlackChannel,
        address: Address,
        *,
        me: Account,
        asker: str,
        keys: Mapping[str, str],
        stopped: Callable[[], None],
    ) -> None:
        self._client = client
        self._streams = streams
        self._plain = plain
        self._address = address
        self._me = me
        self._asker = asker
        self._keys = dict(keys)
        self._stopped = stopped
        self._open: dict[str, Stream] = {}

    def size(self, source: str) -> int:
        return self._plain.size(source)

    async def send(self, source: str, *, key: str, controls: Sequence[Control] = (), grows: bool = False) -> str:
        channel = self._address.channel
        if not (grows and self._streams.may_begin(channel)):
            return await self._plain.send(source, key=key, controls=controls)
        stream = Stream(key, self._streams.clock(), render(source))
        try:
            self._streams.begun()
            answer = await self._client.chat_startStream(
                channel=channel,
                thread_ts=self._address.thread or "",
                recipient_team_id=self._me.team,
                recipient_user_id=self._asker,
                markdown_text=stream.reads or None,
            )
        except FAILURES as exc:
            meant = translated(exc)
            if not isinstance(meant, Refused):
                raise meant from exc
            self._streams.refused(channel, error_of(exc))
            return await self._plain.send(source, key=key, controls=controls)
        message = str(answer["ts"])
        self._open[message] = stream
        self._keys[message] = key
        return message

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,
        file: File | None = None,
    ) -> None:
        if (stream := self._open.get(message)) is None:
            key = self._keys.get(message)
            await self._plain.edit(message, source, controls=controls, file=file, key=key)
        elif grows and not stream.in_doubt and not stream.is_old(self._streams.clock()):
            await self._append(message, stream, source, controls)
        else:
            await self._end(message, stream, source, controls, whole=not grows)

    async def tell(self, source: str) -> None:
        await self._plain.tell(source)

    async def find(self, key: str, source: str) -> str | None:  # noqa: ARG002 - a stream may have got further
        return await self._plain.first(
            lambda message: self._plain.has_key(message, key) or self._is_nameless(message)
        )

    def typing(self) -> AbstractAsyncContextManager[None]:
        return self._plain.typing()

    async def _append(self, message: str, stream: Stream, source: str, controls: Sequence[Control]) -> None:
        try:
            more = stream.more(render(source))
        except ValueError:
            await self._end(message, stream, source, controls, whole=False)
            return
        if not more:
            return
        try:
            await self._client.chat_appendStream(channel=self._address.channel, ts=message, markdown_text=more)
        except FAILURES as exc:
            if error_of(exc) == STOPPED:
                self._stopped()
            if error_of(exc) in ENDED | _FORM:
                await self._end(message, stream, source, controls, whole=False)
                return
            meant = translated(exc, everywhere=True)
            stream.in_doubt = getattr(meant, "in_doubt", False)
            raise meant from exc
        except BaseException:
            stream.in_doubt = True  # cut off by its deadline
            raise
        stream.reads += more

    async def _end(
        self, message: str, stream: Stream, source: str, controls: Sequence[Control], *, whole: bool
    ) -> None:
        """Stop the stream, and have the message read `source`; by that alone, if it is the `whole` text."""
        text, rest = render(source), {}
        if fits := whole and not stream.in_doubt and text.startswith(stream.reads):
            rest = {"markdown_text": text[len(stream.reads) :] or None, "blocks": blocks(controls) or None}
        stopped = await self._stop(message, stream, rest)
        del self._open[message]
        if not (fits and stopped):
            await self._plain.edit(message, source, controls=controls, key=stream.key)

    async def _stop(self, message: str, stream: Stream, rest: Mapping[str, Any]) -> bool:
        """False: it had ended already, or would not take the rest."""
        try:
            await self._client.chat_stopStream(
                channel=self._address.channel, ts=message, metadata=metadata(stream.key), **rest
            )
        except FAILURES as exc:
            if error_of(exc) == STOPPED:
                self._stopped()
            if error_of(exc) in ENDED:
                return False
            if rest and error_of(exc) in _FORM:
                await self._stop(message, stream, {})
                return False
            meant = translated(exc, everywhere=True)
            stream.in_doubt = stream.in_doubt or getattr(meant, "in_doubt", False)
            raise meant from exc
        except BaseException:
            stream.in_doubt = True  # cut off by its deadline
            raise
        return True

    def _is_nameless(self, message: Mapping[str, Any]) -> bool:
        is_ours = message.get("user") == self._me.user or message.get("bot_id") == self._me.bot != ""
        known = message["ts"] in self._keys or message["ts"] == self._address.thread
        return is_ours and not known and not message.get("metadata")
