from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.prefixes import Prefixes

SIZE = 4
texts = st.lists(st.integers(0, 2), min_size=1, max_size=18).map(tuple)


def shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    return next(
        (at for at, (a, b) in enumerate(zip(one, other, strict=False)) if a != b), min(len(one), len(other))
    )


class Pool:
    """The blocks themselves, written and read as the tree says."""

    def __init__(self, blocks: int) -> None:
        self.tree = Prefixes(blocks, SIZE)
        self.blocks: dict[int, tuple[int, ...]] = {}

    def remember(self, tokens: tuple[int, ...]) -> int:
        """How many blocks were written."""
        written = self.tree.insert(tokens)
        for block, start, length in written:
            self.blocks[block] = tokens[start : start + length]
        return len(written)

    def found(self, tokens: tuple[int, ...]) -> tuple[int, ...]:
        return sum((self.blocks[block][:length] for block, length in self.tree.match(tokens)), ())


def test_a_match_ends_inside_a_block() -> None:
    pool = Pool(8)
    pool.remember((1, 2, 3, 4, 5, 6, 7))
    assert pool.found((1, 2, 3, 4, 5, 6, 9, 9)) == (1, 2, 3, 4, 5, 6)
    assert pool.found((1, 2, 9)) == (1, 2)
    assert pool.found((2, 1)) == ()


def test_what_two_conversations_begin_with_is_held_once() -> None:
    pool = Pool(8)
    assert pool.remember((1, 2, 3, 4, 5, 6, 7, 8, 1)) == 3
    assert pool.remember((1, 2, 3, 4, 5, 6, 7, 8, 2)) == 1
    assert pool.tree.in_use == 4


def test_a_tail_that_goes_on_is_replaced_where_it_lies() -> None:
    pool = Pool(8)
    pool.remember((1, 2, 3, 4, 5))
    assert pool.remember((1, 2, 3, 4, 5, 6, 7, 8, 9)) == 2
    assert pool.tree.in_use == 3
    assert pool.found((1, 2, 3, 4, 5, 6, 7, 8, 9)) == (1, 2, 3, 4, 5, 6, 7, 8, 9)


def test_what_is_known_already_is_not_written_again() -> None:
    pool = Pool(8)
    pool.remember((1, 2, 3, 4, 5, 6))
    assert pool.remember((1, 2, 3, 4, 5)) == 0
    assert pool.remember((1, 2, 3, 4, 5, 6)) == 0


def test_the_conversation_that_was_longest_unused_goes_first_and_from_its_end() -> None:
    pool = Pool(4)
    old, new = (1, 1, 1, 1, 1, 1), (2, 2, 2, 2, 2, 2)
    pool.remember(old)
    pool.remember(new)
    assert pool.found(old) == old
    pool.remember((3, 3))
    assert pool.found(new) == new[:4]
    assert pool.found(old) == old


def test_what_is_longer_than_all_blocks_is_remembered_from_its_beginning() -> None:
    pool = Pool(2)
    pool.remember((9, 9, 9, 9, 9))
    tokens = tuple(range(20))
    assert pool.remember(tokens) == 2
    assert pool.found(tokens) == tokens[:8]
    assert Pool(0).remember(tokens) == 0


@settings(deadline=None)
@given(st.lists(st.tuples(st.booleans(), texts), max_size=40), st.integers(0, 12))
def test_the_tree_gives_back_what_was_put_in_and_no_block_twice(
    history: list[tuple[bool, tuple[int, ...]]], blocks: int
) -> None:
    pool = Pool(blocks)
    for inserts, tokens in history:
        if inserts:
            pool.remember(tokens)
            assert pool.found(tokens) == tokens[: blocks * SIZE]
        else:
            found = pool.found(tokens)
            assert found == tokens[: len(found)]
        assert pool.tree.in_use <= blocks


@settings(deadline=None)
@given(st.lists(texts, min_size=1, max_size=30), texts)
def test_with_room_for_all_the_longest_beginning_is_found(
    known: list[tuple[int, ...]], asked: tuple[int, ...]
) -> None:
    pool = Pool(1000)
    for tokens in known:
        pool.remember(tokens)
    assert pool.found(asked) == asked[: max(shared(tokens, asked) for tokens in known)]


def test_a_thousand_continuations_of_one_beginning_are_not_looked_at_one_by_one() -> None:
    class Token(int):
        compared = 0

        def __eq__(self, other: object) -> bool:
            Token.compared += 1
            return int(self) == other

        def __ne__(self, other: object) -> bool:
            return not self == other

        __hash__ = int.__hash__

    pool = Pool(3000)
    for number in range(1000):
        pool.remember((1, 2, 3, 4, 5, 6, number, 8, 9))
    Token.compared = 0
    asked = tuple(map(Token, (1, 2, 3, 4, 5, 6, 500, 8, 9)))
    assert pool.found(asked) == asked
    assert Token.compared < 200
