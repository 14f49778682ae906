"""What keeps the tokens of workspaces that have installed the app. Knows no SDK and no store."""

from datetime import timedelta
from typing import Protocol


class Vault(Protocol):
    """Secrets by their names, and tickets that are good once. All of it raises `StoreUnavailable`, and what is
    changed is on disk when it returns."""

    async def put(self, name: str, secret: str) -> None: ...

    async def get(self, name: str) -> str | None: ...

    async def remove(self, name: str) -> None: ...

    async def names(self, beginning: str) -> list[str]:
        """Those that begin so, in their order."""
        ...

    async def issue(self, ticket: str, expires: timedelta) -> None: ...

    async def use(self, ticket: str) -> bool:
        """Whether it was issued, and is good: only once."""
        ...
