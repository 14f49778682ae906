import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.capacity import BLOCK, capacity


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
    assert room.sizes == ((512, 64), (2048, 5), (8192, 1))


def test_a_context_that_has_no_room_is_cut() -> None:
    assert capacity(tokens=10_000, context=131_072, max_running=64).context == 6000


def test_too_little_is_refused() -> None:
    with pytest.raises(ValueError, match="no room"):
        capacity(tokens=20, context=2048, max_running=1)
