"""One channel, thread or direct message as the delivery planner sees it: Discord's refusals end here.

Knows nothing of replies and their parts. For interactions there is `adapters.discord.interaction`.
"""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager
from typing import Any

from adapters.delivery import File, Limited, MessageGone, Unattached, Unavailable, beside
from adapters.discord.buttons import components
from adapters.discord.markup import LIMIT, render, size
from adapters.discord.rest import Rejected, Rest
from core.errors import Refused
from core.turns import Control

log = logging.getLogger(__name__)

NOBODY: dict[str, Any] = {"parse": [], "replied_user": False}
"""allowed_mentions under which nobody is called, whatever the text says."""

# Discord shows "is typing" for ten seconds: https://discord.com/developers/docs/resources/channel
_TYPING = 8.0
_SUPPRESS_EMBEDS = 1 << 2

# "In the past few minutes" Discord itself tells a repeated nonce. For so long nobody needs to look.
_NONCE_HOLDS = 120.0
_LOOK_BACK = 100  # messages; the most that one call gives

# https://discord.com/developers/docs/topics/opcodes-and-status-codes#json
UNKNOWN_MESSAGE = 10008
_CANNOT_DIRECT = 50007
_OLD_EDITS = 30046  # too many edits of messages older than an hour
_SLOWED = {_OLD_EDITS: 60.0, 20016: 10.0, 20028: 10.0, 40062: 10.0}
_OVERLOADED = {40004, 40333, 130000}


class RoomChannel:
    """The channel `channel`, for one reply to the message `asked`, written at `at`, to the bot `me`.

    `reply_to` is the message that the first send refers to, without calling its writer. `aside` says something to
    the person alone who pressed a button.
    """

    limit = LIMIT
    streams = False

    def __init__(
        self,
        rest: Rest,
        channel: str,
        *,
        me: str,
        asked: str,
        at: float,
        reply_to: str | None = None,
    ) -> None:
        self._rest = rest
        self._channel = channel
        self._me = me
        self._asked = asked
        self._at = at
        self._reply_to = reply_to
        self.aside: Callable[[str], Awaitable[None]] | None = None

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
        content = render(source)
        body: dict[str, Any] = {
            "content": content,
            "components": components(controls),
            "nonce": key,
            "enforce_nonce": True,
            "allowed_mentions": NOBODY,
            "flags": _SUPPRESS_EMBEDS,
        }
        if self._reply_to is not None:
            body["message_reference"] = {"message_id": self._reply_to, "fail_if_not_exists": False}
        try:
            sent = await self._rest.message(
                "POST", "/channels/{channel_id}/messages", body, channel_id=self._channel
            )
        except Rejected as exc:
            raise translated(exc) from exc
        self._reply_to = None
        message = str(sent["id"])
        if str(sent.get("content", "")).strip() != content:
            # The nonce was known: an earlier send had worked, and what it said stands there.
            await self.edit(message, source, controls=controls)
        return message

    async def edit(
        self,
        message: str,
        source: str,
        *,
        controls: Sequence[Control] = (),
        grows: bool = False,  # noqa: ARG002
        file: File | None = None,
    ) -> None:
        path = "/channels/{channel_id}/messages/{message_id}"
        try:
            await self._rest.change(
                path, form(source, controls), file, channel_id=self._channel, message_id=message
            )
        except Rejected as exc:
            raise translated(exc, with_file=file is not None) from exc

    async def tell(self, source: str) -> None:
        if self.aside is not None:
            await self.aside(source)

    async def find(self, key: str, source: str) -> str | None:
        """None also while Discord still knows the nonce: then the same send finds the message, or makes it."""
        if time.time() - self._at < _NONCE_HOLDS:
            return None
        try:
            messages = await self._rest.call(
                "GET",
                "/channels/{channel_id}/messages",
                query={"after": self._asked, "limit": _LOOK_BACK},
                channel_id=self._channel,
            )
        except Rejected as exc:
            log.info("the history of a channel cannot be read: code %d", exc.code)
            return None
        content = render(source)
        for message in reversed(messages or ()):
            if message.get("nonce") == key or self._is_ours(message, content):
                return str(message["id"])
        return None

    def _is_ours(self, message: dict[str, Any], content: str) -> bool:
        if str(message["author"]["id"]) != self._me or message["content"].strip() != content:
            return False
        referred = (message.get("message_reference") or {}).get("message_id")
        return referred in {None, self._asked}

    def typing(self) -> AbstractAsyncContextManager[None]:
        return beside(self._type_for_ever())

    async def _type_for_ever(self) -> None:
        while True:
            wait = _TYPING
            try:
                await self._rest.call("POST", "/channels/{channel_id}/typing", channel_id=self._channel)
            except Limited as exc:
                wait = max(wait, exc.after)
            except (Rejected, Refused, Unavailable) as exc:
                log.debug("typing is not shown: %s", exc)
            await asyncio.sleep(wait)


def form(source: str, controls: Sequence[Control]) -> dict[str, Any]:
    """What a message is changed to."""
    return {"content": render(source), "components": components(controls), "allowed_mentions": NOBODY}


def translated(exc: Rejected, *, with_file: bool = False) -> Exception:
    """What Discord's no means to the planner."""
    if exc.code == UNKNOWN_MESSAGE:
        return MessageGone()
    if exc.code in _SLOWED:
        return Limited(_SLOWED[exc.code])
    if exc.code in _OVERLOADED or exc.status >= 500:
        return Unavailable(in_doubt=False)
    if with_file:
        log.info("a file is not taken: %s", exc)
        return Unattached()
    if exc.code == _CANNOT_DIRECT:
        return Refused("discord", exc.what, fix="The person must share a server with the bot and allow messages.")
    return Refused(
        "discord",
        exc.what,
        fix="In this channel's settings, under Permissions, the bot needs View Channel, Send Messages (also in "
        "threads) and Read Message History.",
    )
