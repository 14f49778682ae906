"""What is new in the list of a place's conversations, for whoever shows that list at the time. Nothing of it is
kept, and what nobody hears is lost: who was away looks at the list anew. Has no words of a person.
"""

import logging
from collections.abc import Callable
from contextlib import AbstractAsyncContextManager

import msgspec

from core.errors import AWAY
from core.store.channels import Channels
from core.store.client import Client
from core.turns import News

log = logging.getLogger(__name__)


async def tell(client: Client, news: News) -> None:
    """Raises nothing: a store that is away loses the news, and nothing else."""
    channel, message = _channel(client, news.conversation.place), msgspec.json.encode(news)
    try:
        await client.read(lambda redis: redis.execute_command("PUBLISH", channel, message))
    except AWAY as exc:
        log.debug("news of %s is lost: %s", news.conversation, exc)


def watch(
    client: Client, channels: Channels, place: str, heard: Callable[[News | None], None]
) -> AbstractAsyncContextManager[None]:
    """`heard` gets each news of the place while the block runs; `None`: some may have been missed. It may not
    wait. Entering raises `StoreUnavailable`."""
    return channels.listening(
        _channel(client, place),
        lambda message: heard(msgspec.json.decode(message, type=News)),
        resumed=lambda: heard(None),
    )


def _channel(client: Client, place: str) -> str:
    return client.keys.channel(f"listed:{place}")
