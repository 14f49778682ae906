"""The answer to a command, as the delivery planner sees it.

Its first message takes the place of "is thinking…" (@original), which needs only the interaction's token and may
be repeated. That token ends after fifteen minutes; then the answer is a message in the channel like any other. An
answer for one person alone is never moved there.
"""

import logging
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager, nullcontext

from adapters.delivery import File, Limited, MessageGone, Unavailable
from adapters.discord.channel import UNKNOWN_MESSAGE, RoomChannel, form, translated
from adapters.discord.markup import LIMIT, size
from adapters.discord.rest import Rejected, Rest
from core.errors import Refused
from core.turns import Control

log = logging.getLogger(__name__)

EPHEMERAL = 1 << 6
"""The flag of a message that one person alone sees."""

_MARGIN = 10.0
_UNKNOWN_WEBHOOK, _BAD_TOKEN = 10015, 50027
_ENDED = {UNKNOWN_MESSAGE, _UNKNOWN_WEBHOOK, _BAD_TOKEN}


class InteractionChannel:
    """The interaction with `token`, good until `until` (seconds since the epoch), and `room`, where it was made.

    `original` is the id of the answer's first message, if there is one already.
    """

    limit = LIMIT
    streams = False

    def __init__(
        self,
        rest: Rest,
        room: RoomChannel,
        *,
        application: str,
        token: str,
        until: float,
        private: bool,
        original: str | None = None,
    ) -> None:
        self._rest = rest
        self._room = room
        self._webhook = {"webhook_id": application, "webhook_token": token}
        self._until = until
        self._private = private
        self._original = original

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
        if self._original is None:
            sent = await self._change_original(source, controls)
            self._original = (
                sent if sent is not None else await self._room.send(source, key=key, controls=controls)
            )
            return self._original
        if self._private:
            return await self._follow_up(source, controls)
        try:
            return await self._room.send(source, key=key, controls=controls)
        except Refused:
            # The bot was asked in a channel in which it may not write by itself.
            return await self._follow_up(source, controls)

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,  # noqa: ARG002
        file: File | None = None,
    ) -> None:
        path = "/webhooks/{webhook_id}/{webhook_token}/messages/{message_id}"
        if self._alive:
            try:
                await self._rest.change(path, form(source, controls), file, message_id=message, **self._webhook)
            except Rejected as exc:
                # Unknown here is also what the bot has written in the channel by itself.
                if exc.code not in _ENDED:
                    raise translated(exc, with_file=file is not None) from exc
            else:
                return
        if self._private:
            raise MessageGone
        await self._room.edit(message, source, controls=controls, file=file)

    async def tell(self, source: str) -> None:
        """To the person alone. It can be said only while the interaction's token is good."""
        try:
            if self._alive:
                await self._follow_up(source)
        except (Limited, Refused, Unavailable) as exc:
            log.debug("somebody who pressed a button was told nothing: %s", type(exc).__name__)

    async def find(self, key: str, source: str) -> str | None:
        if self._original is None and self._alive:
            path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
            try:
                message = await self._rest.message("GET", path, **self._webhook)
            except Rejected as exc:
                if exc.code not in _ENDED:
                    raise translated(exc) from exc
            else:
                # "Is thinking…" has no text yet; to send is to edit it, which does no harm twice.
                return str(message["id"]) if message.get("content") else None
        return None if self._private else await self._room.find(key, source)

    def typing(self) -> AbstractAsyncContextManager[None]:
        """Nothing: the deferred answer says "is thinking…"."""
        return nullcontext()

    @property
    def _alive(self) -> bool:
        return time.time() < self._until - _MARGIN

    async def _change_original(self, source: str, controls: Sequence[Control]) -> str | None:
        """Put the text where "is thinking…" stands. None: that is not possible (any more)."""
        path = "/webhooks/{webhook_id}/{webhook_token}/messages/@original"
        if self._alive:
            try:
                changed = await self._rest.message("PATCH", path, form(source, controls), **self._webhook)
            except Rejected as exc:
                if exc.code not in _ENDED:
                    raise translated(exc) from exc
            else:
                return str(changed["id"])
        if self._private:
            raise _over()
        return None

    async def _follow_up(self, source: str, controls: Sequence[Control] = ()) -> str:
        if not self._alive:
            raise _over()
        body = {**form(source, controls), "flags": EPHEMERAL if self._private else 0}
        path = "/webhooks/{webhook_id}/{webhook_token}"
        try:
            sent = await self._rest.call("POST", path, body, query={"wait": "true"}, **self._webhook)
        except Rejected as exc:
            raise translated(exc) from exc
        return str(sent["id"])


def _over() -> Refused:
    return Refused("discord", "the command was made too long ago", fix="Nothing to do: it can be made again.")
