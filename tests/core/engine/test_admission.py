import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.places import KeyValuePlaces
from core.engine.sequence import Sequence
from core.errors import Overloaded
from tests.core.engine.stepping import add, lengths, order_of_admission, scheduler, sequence, step


def test_a_full_line_refuses_and_takes_nothing() -> None:
    made = scheduler(max_running=3, max_waiting=2)
    add(made, [sequence(number) for number in range(5)])
    with pytest.raises(Overloaded):
        made.add(sequence(9))
    made.remove(0)
    made.add(sequence(10))
    assert (made.waiting, made.running) == (5, 0)


def test_what_would_not_fit_alone_is_refused() -> None:
    made = scheduler()
    made.add(sequence(1, prompt=999, room=2))
    for refused in (sequence(2, prompt=1000, room=2), sequence(3, prompt=0)):
        with pytest.raises(ValueError, match="no place"):
            made.add(refused)
    assert made.waiting == 1


def test_one_person_gets_half_of_the_line_and_who_has_nothing_waiting_is_taken() -> None:
    made = scheduler(max_running=1, max_waiting=63)
    taken: dict[str, int] = {}
    for turn in range(200):
        user = f"user {turn // 50}"
        try:
            made.add(sequence(turn, user=user))
        except Overloaded:
            continue
        taken[user] = taken.get(user, 0) + 1
    assert taken == {"user 0": 32, "user 1": 16, "user 2": 8, "user 3": 4}
    made.add(sequence(200, user="somebody new"))


@pytest.mark.parametrize("seats", [1, 2, 3, 4])
def test_one_person_with_ten_chats_does_not_starve_nine_others(seats: int) -> None:
    made = scheduler(max_running=seats, max_waiting=40, prefill_budget=100)
    add(made, [sequence(number, user="ann", conversation=str(number)) for number in range(10)])
    add(made, [sequence(number, user=f"user {number}") for number in range(10, 19)])
    assert order_of_admission(made) == [0, *range(10, 19), *range(1, 10)]


def test_a_conversation_that_keeps_asking_waits_for_the_others_of_its_user() -> None:
    made = scheduler(max_running=2, max_waiting=30)
    add(made, [sequence(number, user="ann", conversation="busy") for number in (1, 2, 3)])
    made.add(sequence(4, user="ann", conversation="quiet"))
    assert order_of_admission(made)[:2] == [1, 4]


def test_place_and_estimate_of_what_begins_at_once_runs_or_left() -> None:
    made = scheduler()
    assert (made.place_in_line(1), made.estimate(1)) == (0, 0.0)
    made.add(sequence(1))
    assert made.place_in_line(1) == 1
    step(made)
    assert (made.place_in_line(1), made.estimate(1)) == (0, 0.0)


def test_the_estimate_is_measured_and_none_before() -> None:
    now = 0.0
    made = scheduler(max_running=1, max_waiting=9, clock=lambda: now)
    add(made, [sequence(1, room=10), sequence(2, room=20), sequence(3)])
    assert [made.estimate(number) for number in (1, 2, 3)] == [None, None, None]
    for left in range(9, 5, -1):
        batch = made.schedule()
        now += 0.5
        made.commit(batch, [(7,)])
        assert made.estimate(2) == left * 0.5
        assert made.estimate(3) == (left + 20) * 0.5
    made.remove(1)  # after 4 of its 10 steps
    step(made)
    assert made.estimate(3) == pytest.approx(19 * 0.5 * 0.4)


def test_where_memory_is_scarcer_than_seats_the_estimate_says_so() -> None:
    now = 0.0
    made = scheduler(max_running=3, places=KeyValuePlaces(((100, 1),), blocks=0), clock=lambda: now)
    add(made, [sequence(1, room=10), sequence(2), sequence(3)])
    batch = made.schedule()
    now += 1.0
    made.commit(batch, [(7,)])
    made.add(sequence(4))
    assert [made.estimate(number) for number in (2, 3, 4)] == [9.0, 12.0, 15.0]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.sampled_from("xyz"), st.integers(0, 2)), max_size=14),
    st.integers(1, 4),
)
def test_with_equal_work_the_order_of_admission_is_the_order_of_places(
    callers: list[tuple[str, str, int]], max_running: int
) -> None:
    made = scheduler(max_running=max_running, max_waiting=100, prefill_budget=1000)
    begun: list[int] = []
    for number, (user, conversation, steps) in enumerate(callers, 1):
        made.add(sequence(number, room=5, user=user, conversation=conversation))
        for _ in range(steps):
            begun += [chunk.number for chunk in step(made).chunks if chunk.number not in begun]
    places = {number: made.place_in_line(number) for number in range(1, len(callers) + 1)}
    waiting = [number for number in order_of_admission(made) if number not in begun]
    assert [places[number] for number in waiting] == list(range(1, len(waiting) + 1))
    assert all(places[number] == 0 for number in begun)


SMALL = ((8, 2), (40, 1))


def test_one_that_outgrows_its_place_is_suspended_and_goes_on_where_it_was() -> None:
    places = KeyValuePlaces(SMALL, blocks=20, block=4, margin=1)
    made = scheduler(prefill_budget=100, places=places)
    large, small = sequence(1, prompt=20, room=8), sequence(2, prompt=6, room=8)
    add(made, [large, small])
    for _ in range(4):
        step(made)
    assert (made.running, made.waiting) == (1, 1)
    assert (small.place, small.completion) == (None, [7, 7, 7])
    assert (made.place_in_line(2), made.estimate(2)) == (0, 0.0)
    while 2 not in lengths(batch := step(made)):
        assert small.place is None
    assert [(chunk.start, chunk.token_ids) for chunk in batch.chunks] == [(8, (7,))]
    assert small.completion == [7, 7, 7, 7]
    assert order_of_admission(made) == [2]
    assert (small.completion, large.completion) == ([7] * 8, [7] * 8)
    assert small.cached == 0


def test_what_was_suspended_goes_before_the_line() -> None:
    places = KeyValuePlaces(SMALL, blocks=20, block=4, margin=1)
    made = scheduler(prefill_budget=100, places=places)
    large, small, later = sequence(1, prompt=20, room=5), sequence(2, prompt=6, room=8), sequence(3, prompt=20)
    add(made, [large, small, later])
    while not later.completion:
        step(made)
    assert large.full
    assert small.full


def test_a_small_one_passes_a_large_one_that_finds_no_place() -> None:
    made = scheduler(max_running=3, places=KeyValuePlaces(SMALL, blocks=0, margin=1))
    add(made, [sequence(1, prompt=20), sequence(2, prompt=20), sequence(3)])
    assert lengths(made.schedule()).keys() == {1, 3}


def test_a_large_one_is_passed_only_so_often_by_those_that_take_its_place() -> None:
    """The small slots are used up too, so that small ones would take the large slot for ever."""
    places = KeyValuePlaces(((8, 1), (30, 1)), blocks=0, margin=1)
    made = scheduler(max_running=3, max_waiting=9, places=places)
    add(made, [sequence(1, prompt=20), large := sequence(2, prompt=20)])
    begun: list[int] = []
    for number in range(3, 2000):
        if large.number in begun:
            break
        if made.waiting < 5:
            made.add(sequence(number, prompt=6))
        begun += [chunk.number for chunk in step(made).chunks if chunk.number not in begun]
    assert large.number in begun
    assert begun.index(large.number) <= 1 + 32


def test_small_ones_go_on_while_a_large_one_waits_for_its_place() -> None:
    places = KeyValuePlaces(((8, 2), (1000, 1)), blocks=0, margin=1)
    made = scheduler(max_running=3, max_waiting=9, places=places)
    add(made, [sequence(1, prompt=10, room=900), large := sequence(2, prompt=20)])
    begun: list[int] = []
    for number in range(3, 2000):
        if large.number in begun:
            break
        if made.waiting < 3:
            made.add(sequence(number, prompt=6))
        begun += [chunk.number for chunk in step(made).chunks if chunk.number not in begun]
    assert begun.index(large.number) > 200


def three() -> list[Sequence]:
    return [sequence(1, prompt=20), *(sequence(number, prompt=20, leader=1) for number in (2, 3))]


def test_the_first_reads_the_prompt_and_the_others_find_it() -> None:
    made = scheduler(prefill_budget=12)
    add(made, candidates := three())
    assert [lengths(step(made)) for _ in range(3)] == [{1: 12}, {1: 8}, {1: 1, 2: 1, 3: 1}]
    assert [each.cached for each in candidates] == [0, 19, 19]


def test_another_takes_over_when_the_leader_leaves_before_it_has_read() -> None:
    made = scheduler(prefill_budget=12)
    add(made, three())
    step(made)
    made.remove(1)
    assert [lengths(step(made)) for _ in range(2)] == [{2: 12}, {2: 8}]


def test_nobody_waits_for_a_leader_that_is_past_its_prompt_or_was_never_there() -> None:
    made = scheduler(prefill_budget=100)
    made.add(sequence(1, prompt=20))
    step(made)
    made.add(sequence(2, prompt=20, leader=1))
    made.add(sequence(3, prompt=20, leader=77))
    assert lengths(step(made)) == {1: 1, 2: 1, 3: 20}
