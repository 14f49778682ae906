from core.engine.pace import Pace


def test_nobody_can_tell_before_the_first_step() -> None:
    assert Pace().seconds(10) is None


def test_one_slow_step_changes_nothing() -> None:
    pace = Pace()
    for seconds in (0.1, 0.1, 30.0, 0.1):
        pace.step(seconds)
    assert pace.seconds(10) == 1.0


def test_replies_that_end_early_shorten_the_wait() -> None:
    pace = Pace()
    pace.step(0.5)
    for taken in (10, 25, 90):
        pace.end(foreseen=100, taken=taken)
    assert pace.seconds(100) == 12.5


def test_the_past_is_forgotten() -> None:
    pace = Pace()
    for seconds in [9.0] * 100 + [1.0] * 64:
        pace.step(seconds)
    assert pace.seconds(1) == 1.0
