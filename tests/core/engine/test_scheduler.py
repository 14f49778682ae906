from typing import Any

import pytest

from core.engine.engine import Params
from core.engine.places import KeyValuePlaces, Place, Save, Scrub, StatePlaces
from core.engine.scheduler import Batch, Scheduler, SchedulerSettings
from core.engine.sequence import Sequence
from tests.core.engine.stepping import add, lengths, scheduler, sequence, step


def test_a_long_prompt_is_read_beside_what_the_others_write() -> None:
    made = scheduler()
    made.add(sequence(1, room=9))
    step(made)
    made.add(sequence(2, prompt=20))
    assert [lengths(step(made)) for _ in range(4)] == [{1: 1, 2: 8}, {1: 1, 2: 8}, {1: 1, 2: 4}, {1: 1, 2: 1}]


def test_prompts_share_a_step_and_what_one_does_not_need_goes_to_the_others() -> None:
    made = scheduler()
    add(made, [sequence(1, prompt=20), sequence(2, prompt=1), sequence(3, prompt=20)])
    assert lengths(step(made)) == {1: 5, 2: 1, 3: 2}
    assert lengths(step(made)) == {1: 4, 2: 1, 3: 4}


def test_short_prompts_are_read_one_after_the_other_and_not_all_by_halves() -> None:
    made = scheduler(prefill_budget=8, max_running=8)
    add(made, [sequence(number, prompt=2) for number in range(1, 9)])
    assert [chunk.samples for chunk in step(made).chunks] == [1, 1, 1, 1]


def test_a_long_prompt_goes_on_however_many_short_ones_follow() -> None:
    made = scheduler(prefill_budget=8, max_running=4, max_waiting=60)
    made.add(long := sequence(1, prompt=40))
    for number in range(2, 22):
        made.add(sequence(number, prompt=8, room=1))
        step(made)
    assert long.full


def test_a_short_prompt_does_not_wait_for_a_long_one_before_it() -> None:
    made = scheduler()
    made.add(sequence(1, prompt=900))
    step(made)
    made.add(sequence(2, prompt=4))
    assert {chunk.number: chunk.samples for chunk in step(made).chunks} == {1: 0, 2: 1}


def test_with_more_prompts_than_budget_some_are_read_and_the_budget_is_kept() -> None:
    made = scheduler(prefill_budget=2)
    add(made, [sequence(1), sequence(2), sequence(3)])
    assert lengths(made.schedule()) == {1: 2}


def test_only_the_last_chunk_of_a_prompt_samples() -> None:
    made = scheduler()
    made.add(sequence(1, prompt=10))
    assert [step(made).chunks[0].samples for _ in range(3)] == [0, 1, 1]


def test_the_first_chunk_brings_what_the_cache_knew() -> None:
    made = scheduler()
    made.add(sequence(1, prompt=20, room=1))
    while step(made):
        pass
    again = Sequence(2, (*range(100, 120), 7, 8, 9), Params(), 5)
    made.add(again)
    [first] = step(made).chunks
    assert (first.start, first.prefix) == (20, tuple(range(100, 120)))
    assert first.token_ids == (7, 8, 9)
    assert again.cached == 20
    assert step(made).chunks[0].prefix == ()


def test_a_step_costs_the_same_however_long_the_prompt_was() -> None:
    touched = 0

    class Prompt(tuple[int, ...]):
        __slots__ = ()

        def __getitem__(self, key: Any) -> Any:
            nonlocal touched
            touched += 1
            return super().__getitem__(key)

    made = scheduler(prefill_budget=1000, drafts=3)
    made.add(Sequence(1, Prompt(range(900)), Params(), 9))
    step(made)
    step(made)
    assert touched
    touched = 0
    for _ in range(5):
        assert step(made).chunks
    assert not touched


def test_what_left_during_a_step_is_passed_over_and_freed_before_the_next() -> None:
    made = scheduler()
    add(made, [sequence(1), sequence(2)])
    batch = made.schedule()
    made.remove(1)
    assert [grown.number for grown, _ in made.commit(batch, [(5,), (6,)])] == [2]
    after = made.schedule()
    assert after.freed == (1,)
    assert lengths(after) == {2: 1}


def test_a_place_that_was_left_during_a_step_is_given_in_the_next() -> None:
    made = scheduler(max_running=1)
    add(made, [sequence(1), sequence(2)])
    batch = made.schedule()
    made.remove(1)
    made.commit(batch, [(5,)])
    assert lengths(made.schedule()) == {2: 4}


def test_what_never_ran_has_nothing_to_free() -> None:
    made = scheduler()
    made.add(sequence(1))
    made.remove(1)
    assert not made.schedule()


def test_what_a_stopped_sequence_has_read_is_remembered() -> None:
    made = scheduler(prefill_budget=20)
    made.add(sequence(1, prompt=20))
    step(made)
    batch = made.schedule()
    made.remove(1)
    made.commit(batch, [(7,)])
    made.add(again := Sequence(2, tuple(range(100, 120)), Params(), 3))
    made.schedule()
    assert again.cached == 19


def test_of_a_prompt_that_was_left_before_its_first_token_nothing_is_remembered() -> None:
    """Whether it is finite is seen when a token is sampled."""
    made = scheduler(prefill_budget=6)
    made.add(sequence(1, prompt=20))
    step(made)
    made.remove(1)
    made.add(again := Sequence(2, tuple(range(100, 120)), Params(), 3))
    assert made.schedule().copies == (Scrub(Place(0, 0), 20),)
    assert again.cached == 0


def test_nothing_is_remembered_of_a_failed_one() -> None:
    made = scheduler(prefill_budget=6)
    made.add(sequence(1, prompt=20))
    step(made)
    made.remove(1, keep=False)
    made.add(again := Sequence(2, tuple(range(100, 120)), Params(), 3))
    assert not any(isinstance(copy, Save) for copy in made.schedule().copies)
    assert again.cached == 0


def test_a_state_that_went_on_during_a_step_is_not_remembered() -> None:
    made = scheduler(prefill_budget=6, places=StatePlaces(3, 3))
    made.add(sequence(1, prompt=20))
    step(made)
    batch = made.schedule()
    made.remove(1)
    made.commit(batch, [None])
    assert not any(isinstance(copy, Save) for copy in made.schedule().copies)


def repeating(number: int, room: int = 20) -> Sequence:
    return Sequence(number, (1, 2, 7, 4, 5, 6, 1, 2), Params(), room)


def after_prompt(made: Scheduler, *sequences: Sequence) -> Batch:
    add(made, sequences)
    step(made)
    return made.schedule()


def test_what_followed_before_is_guessed_and_what_is_right_counts() -> None:
    made = scheduler(prefill_budget=20, drafts=3)
    one = repeating(1)
    batch = after_prompt(made, one)
    assert [(chunk.token_ids, chunk.samples) for chunk in batch.chunks] == [((7, 4, 5, 6), 4)]
    assert made.commit(batch, [(4, 5, 9)]) == [(one, (4, 5, 9))]
    assert (one.completion, one.unread, one.phase) == ([7, 4, 5, 9], 1, "decode")
    assert made.schedule().chunks[0].start == 11


def test_guesses_never_go_beyond_the_room() -> None:
    made = scheduler(prefill_budget=20, drafts=3)
    batch = after_prompt(made, one := repeating(1, room=3))
    assert batch.chunks[0].token_ids == (7, 4)
    made.commit(batch, [(4, 5)])
    assert one.full


def test_nothing_is_guessed_while_many_run() -> None:
    made = scheduler(prefill_budget=100, drafts=3, draft_running=1)
    assert lengths(after_prompt(made, repeating(1), repeating(2))) == {1: 1, 2: 1}
    assert made.commit(Batch((), (), ()), []) == []


def test_guesses_get_only_what_prompts_leave_of_the_budget() -> None:
    made = scheduler(prefill_budget=10, drafts=3)
    add(made, [repeating(1)])
    step(made)
    made.add(sequence(2, prompt=9))
    assert lengths(made.schedule()) == {1: 2, 2: 9}


def test_nothing_is_guessed_where_a_place_does_not_rewind() -> None:
    made = scheduler(prefill_budget=20, drafts=3, places=StatePlaces(2, 2))
    assert lengths(after_prompt(made, repeating(1))) == {1: 1}


def test_nobody_loses_its_place_for_a_guess() -> None:
    made = scheduler(prefill_budget=20, drafts=3, places=KeyValuePlaces(((10, 1), (11, 1)), 0, margin=0))
    batch = after_prompt(made, repeating(1, room=4), repeating(2, room=3))
    assert lengths(batch) == {1: 1, 2: 2}


def test_a_batch_with_nothing_in_it_is_false() -> None:
    made = scheduler()
    assert not made.schedule()
    made.add(sequence(1, room=1))
    assert step(made)
    last = made.schedule()
    assert last.freed == (1,)
    assert not last.chunks
    assert all(isinstance(copy, Save) for copy in last.copies)
    assert last
    assert not made.schedule()


@pytest.mark.parametrize("name", ["max_running", "prefill_budget"])
def test_settings_with_which_nothing_would_ever_run_are_refused(name: str) -> None:
    with pytest.raises(ValueError, match="at least"):
        SchedulerSettings(**{name: 0})
