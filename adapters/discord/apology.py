"""A sentence to people whose message was not taken. Knows nothing of why."""

import asyncio
import logging
from collections import OrderedDict

from adapters.delivery import Limited, Unavailable
from adapters.discord.channel import RoomChannel
from adapters.discord.rest import Rest
from core.errors import Refused
from core.turns import Conversation, Event, key_of

log = logging.getLogger(__name__)

_EVERY = 60.0  # seconds between two such sentences in one conversation
_AT_ONCE = 16
_REMEMBERED = 1000


class Apologies:
    """Says at most one sentence a minute in a conversation, and few at once. Discord's troubles end here."""

    def __init__(self, rest: Rest) -> None:
        self._rest = rest
        self._said: OrderedDict[Conversation, float] = OrderedDict()
        self._saying = 0

    async def say(self, event: Event, sentence: str) -> None:
        now = asyncio.get_running_loop().time()
        last = self._said.get(event.conversation)
        if (last is not None and now - last < _EVERY) or self._saying >= _AT_ONCE:
            return
        self._said[event.conversation] = now
        self._said.move_to_end(event.conversation)
        if len(self._said) > _REMEMBERED:
            self._said.popitem(last=False)
        address = event.room.address
        reply_to = address.get("reply_to")
        room = RoomChannel(
            self._rest,
            str(address["channel"]),
            me=event.room.bot,
            asked=event.message,
            at=event.at,
            reply_to=None if reply_to is None else str(reply_to),
        )
        self._saying += 1
        try:
            await room.send(sentence, key=key_of(event.conversation, event.id, -1))
        except (Limited, Refused, Unavailable) as exc:
            log.warning("could not say that %s was not taken: %s", event.id, exc)
        finally:
            self._saying -= 1
