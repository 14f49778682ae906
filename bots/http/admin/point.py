"""How fast things go, from two looks at what all processes have counted. Pure."""

from collections.abc import Callable, Iterator, Mapping

import msgspec

from bots.instruments.sight import Platform, Sight

Seen = Mapping[str, Sight]
"""The last sight of each process, by its id."""


class Delivery(msgspec.Struct, frozen=True):
    """One platform's, of all processes: sends and edits a second, 429s a minute, and by how many seconds its rooms
    were behind the model; `None` where nothing was shown."""

    calls: float
    limited: float
    lag: float | None


class Point(msgspec.Struct, frozen=True):
    """A moment. `waiting` is for the model; `prefill` and `decode` are tokens a second, `found` the share of the
    prompts' tokens that the cache had and `used` that of the cache that is in use; `batch` are the tokens of one
    forward pass; `None` where there was nothing. `failed` are turns and calls a minute, `up` and `down` votes."""

    at: float
    running: int
    waiting: int
    prefill: float
    decode: float
    found: float | None
    used: float | None
    batch: float | None
    failed: float
    up: float
    down: float
    delivery: Mapping[str, Delivery]


def point(at: float, seconds: float, before: Seen, now: Seen) -> Point:
    """`seconds` lie between the two looks. A process counts from its second sight on."""
    pairs = [(before[name], sight) for name, sight in now.items() if name in before]
    models = [sight.model.load for sight in now.values() if sight.model is not None]
    loads = [
        (old.model.load, new.model.load) for old, new in pairs if old.model is not None and new.model is not None
    ]
    read = sum(new.prefill_tokens - old.prefill_tokens for old, new in loads)
    found = sum(new.cached_tokens - old.cached_tokens for old, new in loads)
    made = sum(new.decode_tokens - old.decode_tokens for old, new in loads)
    steps = sum(new.steps - old.steps for old, new in loads)
    blocks = sum(load.cache_blocks for load in models)
    grown = list(_grown(pairs))
    names = sorted({name for name, _ in grown})
    failed = sum(new.failed + new.broken - old.failed - old.broken for _, (old, new) in grown)
    return Point(
        at=at,
        running=sum(len(sight.turns) + sight.more for sight in now.values()),
        waiting=sum(load.waiting for load in models),
        prefill=read / seconds,
        decode=made / seconds,
        found=found / (found + read) if found + read else None,
        used=sum(load.cache_used for load in models) / blocks if blocks else None,
        batch=(read + made) / steps if steps else None,
        failed=60 * failed / seconds,
        up=60 * sum(new.up - old.up for _, (old, new) in grown) / seconds,
        down=60 * sum(new.down - old.down for _, (old, new) in grown) / seconds,
        delivery={name: _delivery([both for each, both in grown if each == name], seconds) for name in names},
    )


_Both = tuple[Platform, Platform]


def _grown(pairs: list[tuple[Sight, Sight]]) -> Iterator[tuple[str, _Both]]:
    """Each platform of each process, as it was and as it is."""
    for old, new in pairs:
        were = {platform.name: platform for platform in old.platforms}
        for platform in new.platforms:
            if platform.name in were:
                yield platform.name, (were[platform.name], platform)


def _delivery(platforms: list[_Both], seconds: float) -> Delivery:
    def more(count: Callable[[Platform], float]) -> float:
        return sum(count(new) - count(old) for old, new in platforms)

    lags = more(lambda platform: platform.lags)
    return Delivery(
        calls=more(lambda platform: platform.sends + platform.edits) / seconds,
        limited=60 * more(lambda platform: platform.limited) / seconds,
        lag=more(lambda platform: platform.lag) / lags if lags else None,
    )
