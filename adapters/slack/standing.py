"""Whether the bot may speak where somebody asks it to: commands and shortcuts work all over the workspace."""

import logging
from typing import Literal

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.client import FAILURES, error_of
from core.languages import msgid

log = logging.getLogger(__name__)

NOT_HERE = msgid("I am not in this conversation. Invite me with `/invite`, or write to me directly.")

Standing = Literal["direct", "member", "outside"]


async def standing(client: AsyncWebClient, channel: str) -> Standing:
    """`outside`: also between two other people."""
    try:
        info = (await client.conversations_info(channel=channel))["channel"]
    except FAILURES as exc:
        if error_of(exc) == "channel_not_found":
            return "outside"
        # Whether we may write there shows when we do.
        log.info("nothing known about %s: %s", channel, error_of(exc) or type(exc).__name__)
        return "direct" if channel.startswith("D") else "member"
    if info.get("is_im"):
        return "direct"
    return "member" if info.get("is_member") or info.get("is_mpim") else "outside"
