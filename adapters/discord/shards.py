"""A bot's connections to the gateway: how many, and which of them may begin a session when.

Each shard hears of a part of the servers, and the first one of direct messages too:
https://discord.com/developers/docs/events/gateway#sharding

Each has a client of its own. discord.py's `AutoShardedClient` would keep all of them in one, which ends with all
its sessions when a single event cannot be parsed.
"""

import asyncio
from collections import defaultdict
from dataclasses import dataclass, field

from adapters.discord.rest import Rest


@dataclass(frozen=True, slots=True)
class Shard:
    """The shard `number` of `count`."""

    number: int = 0
    count: int = 1

    def __str__(self) -> str:
        return f"{self.number}/{self.count}"


ALL = Shard()
"""The only connection of a bot that has one."""


class TooFew(Exception):
    """Discord wants the bot to have more shards."""


@dataclass(frozen=True, slots=True)
class Start:
    """What Discord says of new sessions: where they are made, for how many seconds none may begin, how many shards
    the bot should have, and how many may begin at once."""

    url: str
    wait: float
    shards: int
    at_once: int


async def ask(rest: Rest) -> Start:
    """Raises what `Rest.call` raises, and `KeyError`, `TypeError` and `ValueError` for what is no such answer."""
    bot = await rest.call("GET", "/gateway/bot")
    limit = bot["session_start_limit"]
    wait = 0.0 if int(limit["remaining"]) > 1 else float(limit["reset_after"]) / 1000
    # What somebody else's server may leave out.
    return Start(str(bot["url"]), wait, int(bot.get("shards") or 1), int(limit.get("max_concurrency") or 1))


@dataclass(slots=True)
class Turns:
    """Shards that leave the same number when divided by `at_once` go one after another, `every` seconds apart; the
    others side by side: https://discord.com/developers/docs/events/gateway#sharding-max-concurrency"""

    every: float
    at_once: int = 1
    _lanes: defaultdict[int, asyncio.Lock] = field(default_factory=lambda: defaultdict(asyncio.Lock))
    _taken: dict[int, float] = field(default_factory=dict)

    async def next(self, shard: Shard) -> None:
        """Wait for the shard's turn."""
        lane, loop = shard.number % self.at_once, asyncio.get_running_loop()
        async with self._lanes[lane]:
            if lane in self._taken:
                await asyncio.sleep(self._taken[lane] + self.every - loop.time())
            self._taken[lane] = loop.time()


@dataclass(slots=True)
class Door:
    """Through which all shards of a bot go: a client begins, and then a session does. A session that is lost is
    replaced by the same client."""

    clients: Turns
    sessions: Turns

    @classmethod
    def of(cls, every: float, at_once: int = 1) -> "Door":
        return cls(Turns(every, at_once), Turns(every, at_once))
