"""What is set for a place, for all conversations in it. The persona lies beside that, and is set in the order of a
conversation: see `Claims.complete`."""

from collections.abc import Callable, Mapping
from typing import get_args

from core.store.client import Client
from core.turns import Conversation, WhenBusy

PREFIX = b"set."
"""What the name of a setting begins with in a place's hash. A step may read the one that it follows."""


SETTINGS: Mapping[str, Callable[[str], bool]] = {"when_busy": lambda value: value in get_args(WhenBusy)}
"""What can be set for a place, and to what."""


def is_setting(name: str, value: str) -> bool:
    """Whether `name` can be set to `value`; to nothing it always can."""
    return name in SETTINGS and (not value or SETTINGS[name](value))


class Places:
    """Settings hold no words of a person's: they are not encrypted. All of it raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def put(self, conversation: Conversation, name: str, value: str) -> None:
        """Set `name` for the conversation's place, on disk when it returns; an empty value takes it away."""
        key, field = self._client.keys.place(conversation), PREFIX + name.encode()
        if value:
            await self._client.ask("HSET", key, field, value, key=key, commit=True)
        else:
            await self._client.ask("HDEL", key, field, key=key, commit=True)

    async def of(self, conversation: Conversation) -> dict[str, str]:
        """All that is set for the conversation's place."""
        key = self._client.keys.place(conversation)
        return settings(await self._client.ask("HGETALL", key, key=key))


def settings(fields: dict[bytes, bytes]) -> dict[str, str]:
    """The settings in a place's hash."""
    return {
        name.removeprefix(PREFIX).decode(): value.decode()
        for name, value in fields.items()
        if name.startswith(PREFIX)
    }
