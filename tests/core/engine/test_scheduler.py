import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.engine.engine import Params
from core.engine.scheduler import Batch, Scheduler
from core.engine.sequence import Sequence
from core.errors import Overloaded

RUNNING, WAITING, CHUNK = 3, 2, 8


def scheduler() -> Scheduler:
    return Scheduler(max_running=RUNNING, max_waiting=WAITING, prefill_chunk=CHUNK)


def sequence(number: int, prompt: int = 4, room: int = 3) -> Sequence:
    return Sequence(number, tuple(range(prompt)), Params(), room)


def step(made: Scheduler) -> Batch:
    batch = made.schedule()
    made.commit(batch, [7 if chunk.samples else None for chunk in batch.chunks])
    return batch


def lengths(batch: Batch) -> dict[int, int]:
    return {chunk.number: len(chunk.token_ids) for chunk in batch.chunks}


def test_a_long_prompt_is_read_beside_what_the_others_write() -> None:
    made = scheduler()
    made.add(sequence(1))
    step(made)
    made.add(sequence(2, prompt=20))
    assert [lengths(step(made)) for _ in range(4)] == [{1: 1, 2: 8}, {1: 1, 2: 8}, {1: 1, 2: 4}, {1: 1, 2: 1}]


def test_prompts_share_one_steps_budget_the_oldest_first() -> None:
    made = scheduler()
    for number in (1, 2, 3):
        made.add(sequence(number, prompt=6))
    assert [lengths(step(made)) for _ in range(3)] == [{1: 6, 2: 2}, {1: 1, 2: 4, 3: 4}, {1: 1, 2: 1, 3: 2}]


def test_only_the_last_chunk_of_a_prompt_samples() -> None:
    made = scheduler()
    made.add(sequence(1, prompt=10))
    assert [step(made).chunks[0].samples for _ in range(3)] == [False, True, True]


def test_a_full_waiting_line_refuses_and_takes_nothing() -> None:
    made = scheduler()
    for number in range(RUNNING + WAITING):
        made.add(sequence(number))
    with pytest.raises(Overloaded):
        made.add(sequence(9))
    made.remove(0)
    made.add(sequence(10))
    assert made.waiting + made.running == RUNNING + WAITING


def test_what_left_during_a_step_is_passed_over_and_freed_before_the_next() -> None:
    made = scheduler()
    made.add(sequence(1))
    made.add(sequence(2))
    batch = made.schedule()
    made.remove(1)
    assert [grown.number for grown in made.commit(batch, [5, 6])] == [2]
    after = made.schedule()
    assert after.freed == (1,)
    assert lengths(after) == {2: 1}


def test_what_never_ran_has_nothing_to_free() -> None:
    made = scheduler()
    made.add(sequence(1))
    made.remove(1)
    assert not made.schedule()


class Scheduling(RuleBasedStateMachine):
    """Sequences come, write, finish and are cancelled, also during a step."""

    def __init__(self) -> None:
        super().__init__()
        self.made = scheduler()
        self.alive: dict[int, Sequence] = {}
        self.cached: set[int] = set()
        self.number = 0
        self.batch: Batch | None = None

    @rule(prompt=st.integers(1, 30), room=st.integers(1, 5))
    def add(self, prompt: int, room: int) -> None:
        self.number += 1
        new = sequence(self.number, prompt, room)
        try:
            self.made.add(new)
        except Overloaded:
            assert len(self.alive) == RUNNING + WAITING
        else:
            self.alive[new.number] = new

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def remove(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.alive)))
        self.made.remove(number)
        self.made.remove(number)
        del self.alive[number]

    @precondition(lambda self: self.batch is None)
    @rule()
    def schedule(self) -> None:
        batch = self.made.schedule()
        assert not set(batch.freed) & set(self.alive)
        self.cached -= set(batch.freed)
        assert self.cached <= set(self.alive)
        self.cached |= {chunk.number for chunk in batch.chunks}
        numbers = [chunk.number for chunk in batch.chunks]
        assert len(set(numbers)) == len(numbers) <= RUNNING
        prompts = [chunk for chunk in batch.chunks if self.alive[chunk.number].phase == "prefill"]
        assert sum(len(chunk.token_ids) for chunk in prompts) <= CHUNK
        assert bool(batch.chunks) == bool(self.alive), "somebody always gets on"
        self.batch = batch

    @precondition(lambda self: self.batch is not None)
    @rule()
    def commit(self) -> None:
        assert self.batch is not None
        sampled = [7 if chunk.samples else None for chunk in self.batch.chunks]
        for grown in self.made.commit(self.batch, sampled):
            assert grown is self.alive[grown.number]
            assert grown.read == len(grown.prompt) + len(grown.completion) - 1
            if grown.full:
                self.made.remove(grown.number)
                del self.alive[grown.number]
        self.batch = None

    @invariant()
    def all_wait_or_run(self) -> None:
        assert self.made.waiting + self.made.running == len(self.alive)
        assert self.made.running <= RUNNING

    def teardown(self) -> None:
        if self.batch is not None:
            self.commit()
        for _ in range(300):
            if not self.alive:
                break
            self.schedule()
            self.commit()
        assert not self.alive, "every admitted sequence ends"
        self.schedule()
        assert not self.cached


TestScheduling = Scheduling.TestCase
TestScheduling.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
