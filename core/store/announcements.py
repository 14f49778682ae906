"""What the processes of one installation tell one another in passing. Nothing of it is kept, and what nobody hears
is lost: so it costs no disk, and whoever needs an answer asks again. Knows nothing of what is told.
"""

from collections.abc import Callable
from contextlib import AbstractAsyncContextManager
from typing import Literal

from core.store.channels import Channels
from core.store.client import Client

About = Literal["sights", "orders"]


class Announcements:
    """Those of one store."""

    def __init__(self, client: Client, channels: Channels) -> None:
        self._client = client
        self._channels = channels

    async def tell(self, about: About, message: bytes) -> None:
        """Raises `StoreUnavailable`."""
        channel = self._client.keys.channel(about)
        await self._client.read(lambda redis: redis.execute_command("PUBLISH", channel, message))

    def listening(self, about: About, receive: Callable[[bytes], None]) -> AbstractAsyncContextManager[None]:
        """`receive` gets each message while the block runs, also those of this process; it may not wait. Entering
        raises `StoreUnavailable`."""
        return self._channels.listening(self._client.keys.channel(about), receive)
