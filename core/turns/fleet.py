"""The workers of one installation, and what their bots may do together."""

from typing import Protocol


class Fleet(Protocol):
    """What the workers of one installation tell one another about a bot's budget on its platform."""

    @property
    def workers(self) -> int:
        """How many workers are alive, this one included: each takes its share of a bot-wide budget."""
        ...

    async def pause(self, bot: str, seconds: float) -> None:
        """The platform told us to be silent with this bot for so long; tell every worker."""
        ...

    def paused_until(self, bot: str) -> float:
        """The event loop's time until which this bot must be silent. In the past when it need not."""
        ...
