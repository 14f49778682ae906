"""How fast things go, from two looks."""

import msgspec

from bots.http.admin.point import Seen, point
from bots.instruments.sight import Model, Platform, Sight
from core.engine.engine import Load


def sight(name: str, load: Load | None, **counts: float) -> Sight:
    platform = msgspec.structs.replace(Platform("slack", "listening", ready=True), **counts)
    model = None if load is None else Model("m", load)
    return Sight(name, "host", 1, "all", 0.0, False, [platform], [], 2, model)


def seen(*sights: Sight) -> Seen:
    return {sight.id: sight for sight in sights}


def test_counts_of_all_processes_become_rates() -> None:
    before = seen(
        sight("a", Load(alive=True), sends=1), sight("b", Load(alive=True, decode_tokens=100), limited=1)
    )
    load = Load(alive=True, prefill_tokens=20, cached_tokens=60, decode_tokens=40, waiting=3, steps=6)
    other = Load(alive=True, decode_tokens=120, cache_blocks=8, cache_used=2, steps=4)
    after = seen(
        sight("a", load, sends=5, edits=6, lag=1.5, lags=3, up=2, down=1),
        sight("b", other, limited=2, failed=1, broken=2),
    )
    shown = point(7.0, 10.0, before, after)
    assert (shown.prefill, shown.decode, shown.waiting, shown.running) == (2.0, 6.0, 3, 4)
    assert (shown.found, shown.used) == (0.75, 0.25)
    assert shown.batch == 8.0
    assert (shown.failed, shown.up, shown.down) == (18.0, 12.0, 6.0)
    assert (shown.delivery["slack"].calls, shown.delivery["slack"].limited) == (1.0, 6.0)
    assert shown.delivery["slack"].lag == 0.5


def test_process_counts_from_its_second_sight_on() -> None:
    """It may have run for days before it was seen first."""
    shown = point(7.0, 10.0, seen(), seen(sight("a", Load(alive=True, decode_tokens=10**9), failed=99)))
    assert (shown.decode, shown.failed, shown.delivery) == (0.0, 0.0, {})


def test_what_nobody_has_is_none() -> None:
    shown = point(7.0, 10.0, seen(sight("a", None)), seen(sight("a", None)))
    assert (shown.found, shown.used, shown.batch, shown.delivery["slack"].lag) == (None, None, None, None)
