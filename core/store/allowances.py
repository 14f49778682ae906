"""What people and places have used of the turns and tokens that they may, in this minute and this day (UTC)."""

from dataclasses import dataclass

from core.store.client import Client


@dataclass(frozen=True, slots=True, kw_only=True)
class Limits:
    """The most in one minute and in one day. 0: any number."""

    turns_per_minute: int = 0
    turns_per_day: int = 0
    tokens_per_minute: int = 0
    tokens_per_day: int = 0

    @property
    def any(self) -> bool:
        return any((self.turns_per_minute, self.turns_per_day, self.tokens_per_minute, self.tokens_per_day))


@dataclass(frozen=True, slots=True)
class Wait:
    """Seconds until there is something left again; 0: there is. `first`: nobody has been told of this wait yet."""

    seconds: int
    first: bool


NO_WAIT = Wait(0, first=False)


class Allowances:
    """Those of one store, by name. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client) -> None:
        self._client = client

    async def wait(self, name: str, limits: Limits) -> Wait:
        """How long `name` must wait for the next turn. Who is told so is told for the first time only once."""
        return await self._ask(name, limits, turns=0, tokens=0) if limits.any else NO_WAIT

    async def use(self, name: str, limits: Limits, *, turns: int = 0, tokens: int = 0) -> None:
        """Count what `name` has used. Nobody knows the tokens before, so that a day may end above its limit."""
        if limits.any:
            await self._ask(name, limits, turns=turns, tokens=tokens)

    async def _ask(self, name: str, limits: Limits, *, turns: int, tokens: int) -> Wait:
        seconds, first = await self._client.run(
            "allowance",
            [self._client.keys.used(name)],
            *(limits.turns_per_minute, limits.turns_per_day, limits.tokens_per_minute, limits.tokens_per_day),
            *(turns, tokens),
        )
        return Wait(seconds, bool(first))
