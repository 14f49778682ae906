"""What is set for a place, for all conversations in it. The persona lies beside that, and is set in the order of a
conversation: see `Claims.complete`."""

from collections.abc import Callable, Mapping
from typing import get_args

from core.languages import LANGUAGES
from core.scope import Scope
from core.store.client import Client
from core.turns import Conversation, WhenBusy

PREFIX = b"set."
"""What the name of a setting begins with in a place's hash. A step may read the one that it follows."""

LANGUAGE = "language"
"""The language of our own sentences in a place, whatever anybody's locale."""

SCOPE = "scope"
"""Who shares memory in a place: see `core.scope`."""

QUIET = "quiet"
"""Whether threads are left alone in which nobody calls the bot. A step reads this."""

MODEL = "model"
"""Which of the operator's models answers in a place."""

SETTINGS: Mapping[str, Callable[[str], bool]] = {
    "when_busy": lambda value: value in get_args(WhenBusy),
    LANGUAGE: lambda value: value in LANGUAGES,
    MODEL: bool,
    SCOPE: lambda value: value in get_args(Scope),
    QUIET: lambda value: value in {"on", "off"},
}
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

    async def persona(self, conversation: Conversation) -> str:
        """Who the bot is to be in the conversation's place; empty: its usual self."""
        key = self._client.keys.place(conversation)
        record: bytes | None = await self._client.ask("HGET", key, "persona", key=key)
        return self._client.records.text_if_readable(record, conversation) or ""

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
