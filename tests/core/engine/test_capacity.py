import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.capacity import BLOCK, CELLS, capacity, states


@given(st.integers(40, 10**7), st.integers(16, 10**6), st.integers(1, 512))
def test_never_more_than_the_budget_and_always_a_slot_for_the_longest(
    tokens: int, context: int, running: int
) -> None:
    room = capacity(tokens=tokens, context=context, max_running=running)
    lengths = [length for length, _ in room.sizes]
    assert room.tokens <= tokens
    assert tokens - room.tokens < BLOCK
    assert lengths == sorted(set(lengths))
    assert all(1 <= slots <= running for _, slots in room.sizes)
    assert room.context <= context
    assert room.blocks >= 0


def test_a_long_context_leaves_room_for_many_short_conversations() -> None:
    room = capacity(tokens=87_000, context=8192, max_running=64)
    assert room.sizes == ((512, 61), (2048, 6), (8192, 1))


@pytest.mark.parametrize("context", [2048, 40_960, 131_072])
def test_a_context_that_takes_all_room_is_cut_so_that_others_can_run(context: int) -> None:
    room = capacity(tokens=26_000, context=context, max_running=64)
    assert room.context == min(context, 7800)
    assert room.sizes[0][0] == 512
    assert room.sizes[0][1] > 5


def test_what_is_left_makes_more_of_the_large_ones() -> None:
    assert capacity(tokens=10_000_000, context=2048, max_running=64).sizes == ((512, 64), (2048, 64))


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        capacity(tokens=20, context=2048, max_running=1)


@given(st.integers(8_000, 10**9), st.integers(1, 4000), st.integers(16, 8192), st.integers(1, 512))
def test_states_take_no_more_than_the_budget_and_what_runs_comes_first(
    memory: int, state: int, context: int, running: int
) -> None:
    if memory < 4 * state:
        with pytest.raises(ValueError, match="bytes"):
            states(CELLS * state, state=state, context=context, max_running=running)
        return
    slots, blocks = states(memory, state=state, context=context, max_running=running)
    assert 1 <= slots <= running
    assert blocks >= 0
    assert slots * CELLS * state + blocks * state <= memory
    assert slots == running or slots * CELLS * state > memory * 0.6 - CELLS * state
