import pytest

from core.engine.engine import Params
from core.engine.loading import Loaded
from core.engine.runner import Runner
from core.engine.scheduler import Batch, Chunk

GREEDY = Params(temperature=0.0)


def chunk(number: int, *token_ids: int, samples: bool = True) -> Chunk:
    return Chunk(number, token_ids, samples, GREEDY)


@pytest.fixture
def runner(tiny: Loaded) -> Runner:
    return Runner(tiny.model)


def test_a_prompt_in_chunks_gives_the_token_of_the_whole(runner: Runner) -> None:
    [whole] = runner.run(Batch((chunk(1, 5, 6, 7, 8),), ()))
    assert runner.run(Batch((chunk(2, 5, 6, samples=False),), ())) == [None]
    assert runner.run(Batch((chunk(2, 7, 8),), ())) == [whole]


def test_a_freed_sequence_keeps_nothing(runner: Runner) -> None:
    runner.run(Batch((chunk(1, 5), chunk(2, 6)), ()))
    assert len(runner) == 2
    runner.run(Batch((chunk(2, 7),), (1,)))
    assert len(runner) == 1
    assert runner.run(Batch((), (2, 3))) == []
    assert len(runner) == 0


def test_a_failed_sequence_keeps_nothing_and_the_others_go_on(runner: Runner) -> None:
    alone, failed = runner.run(Batch((chunk(1, 5), chunk(2, 99_999)), ()))
    assert isinstance(alone, int)
    assert isinstance(failed, IndexError)
    assert len(runner) == 1
