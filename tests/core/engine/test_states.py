from hypothesis import given
from hypothesis import strategies as st

from core.engine.states import States

texts = st.lists(st.integers(0, 1), min_size=1, max_size=5).map(tuple)


def test_only_what_a_prompt_begins_with_is_found_and_the_longest_of_it() -> None:
    states = States(8)
    states.insert((1,))
    longer = states.insert((1, 2, 3))
    states.insert((1, 2, 3, 4, 5))
    states.insert((1, 2, 3, 1))
    states.insert((1, 2, 9))
    assert states.match((1, 2, 3, 4)) == (longer, 3)
    assert states.match((2,)) is None
    assert states.match(()) is None


def test_the_state_that_was_longest_unused_goes_first() -> None:
    states = States(2)
    block = states.insert((1,))
    states.insert((2,))
    states.match((1, 1))
    states.insert((3,))
    assert states.match((2,)) is None
    assert states.match((1,)) == (block, 1)
    assert states.in_use == 2


def test_what_is_known_or_nothing_or_has_no_block_is_not_written() -> None:
    states = States(1)
    assert states.insert(()) is None
    assert states.insert((1,)) is not None
    assert states.insert((1,)) is None
    assert States(0).insert((1,)) is None


@given(st.lists(st.tuples(st.booleans(), texts), max_size=80), st.integers(1, 6))
def test_the_longest_beginning_of_all_that_is_in_a_block_is_found(
    history: list[tuple[bool, tuple[int, ...]]], blocks: int
) -> None:
    states = States(blocks)
    held: dict[int, tuple[int, ...]] = {}
    for inserts, tokens in history:
        if inserts:
            if (block := states.insert(tokens)) is not None:
                held[block] = tokens
            assert tokens in held.values()
        else:
            begins = [known for known in held.values() if tokens[: len(known)] == known]
            longest = max(begins, key=len, default=None)
            found = states.match(tokens)
            assert (found and held[found[0]][: found[1]]) == longest
        assert states.in_use == len(held) <= blocks
