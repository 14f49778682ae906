import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.engine.history import History


@settings(max_examples=50, deadline=None)
@given(st.data())
def test_what_is_read_is_what_was_written_last(data: st.DataObject) -> None:
    history = History("cpu")
    expected: dict[int, list[int]] = {}
    for _ in range(data.draw(st.integers(1, 30))):
        number = data.draw(st.integers(0, 11))
        if number not in expected:
            history.add(number)
            expected[number] = []
        elif data.draw(st.integers(0, 5)) == 0:
            history.remove(number)
            del expected[number]
            continue
        known = expected[number]
        start = data.draw(st.integers(max(0, len(known) - 4), len(known)))
        token_ids = data.draw(st.lists(st.integers(0, 50_000), max_size=8)) * data.draw(
            st.sampled_from([1, 1, 90])
        )
        history.write(number, start, token_ids)
        known[start : start + len(token_ids)] = token_ids
        if data.draw(st.booleans()) and (full := [number for number in expected if expected[number]]):
            lengths = [data.draw(st.integers(1, len(expected[number]))) for number in full]
            read = history.read(full, lengths).tolist()
            for row, number, length in zip(read, full, lengths, strict=True):
                assert row[:length] == expected[number][:length]
                assert set(row[length:]) <= {row[0]}
    assert len(history) == len(expected)


def test_a_gap_is_refused() -> None:
    history = History("cpu")
    history.add(1)
    history.write(1, 0, [5, 6])
    with pytest.raises(ValueError, match="from position 3 on, after 2"):
        history.write(1, 3, [7])
    with pytest.raises(ValueError, match="3 tokens of a sequence are needed and 2 are known"):
        history.read([1], [3])


def test_a_row_is_used_again_and_holds_nothing_of_its_last_sequence() -> None:
    history = History("cpu")
    history.add(1)
    history.write(1, 0, [5, 6, 7])
    history.remove(1)
    history.add(2)
    history.write(2, 0, [8])
    assert history.read([2], [1]).tolist() == [[8]]
    with pytest.raises(ValueError, match="are known"):
        history.read([2], [2])
