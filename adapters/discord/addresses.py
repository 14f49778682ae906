"""Where Discord keeps what people sent: an address is signed, and good for a day. Knows no room."""

import logging
import time
from urllib.parse import parse_qs, urlsplit

from adapters.delivery import Limited, Unavailable
from adapters.discord.rest import Rejected, Rest
from core.errors import Refused

log = logging.getLogger(__name__)

_SOON = 60.0  # seconds


def has_ended(address: str, now: float) -> bool:
    """Whether its signature says so: https://docs.discord.com/developers/reference#signed-attachment-cdn-urls"""
    try:
        return int(parse_qs(urlsplit(address).query)["ex"][0], 16) < now + _SOON
    except (KeyError, ValueError):
        return False


async def renewed(rest: Rest, address: str) -> str:
    """The same file's address, signed anew where that is needed and Discord does it."""
    if not has_ended(address, time.time()):
        return address
    try:
        answer = await rest.call("POST", "/attachments/refresh-urls", {"attachment_urls": [address]})
        return str(answer["refreshed_urls"][0]["refreshed"])
    except (IndexError, KeyError, Limited, Refused, Rejected, TypeError, Unavailable) as exc:
        log.info("an address was not signed anew: %s", type(exc).__name__)
        return address
