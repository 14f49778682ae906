import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.stop_strings import StopStrings


def feed(stops: tuple[str, ...], pieces: list[str]) -> tuple[str, bool]:
    stop_strings = StopStrings(stops)
    out = ""
    for piece in pieces:
        text, stopped = stop_strings.add(piece)
        out += text
        if stopped:
            return out, True
    return out + stop_strings.flush(), False


def test_text_is_held_back_while_it_may_be_a_stop_string() -> None:
    stop_strings = StopStrings(("\nUser:",))
    assert stop_strings.add("Hello.\nUs") == ("Hello.", False)
    assert stop_strings.holds_back
    assert stop_strings.add("ually") == ("\nUsually", False)
    assert not stop_strings.holds_back


def test_text_ends_before_the_first_stop_string() -> None:
    assert feed(("END", "\n\n"), ["one", "\n", "two E", "ND three\n\n"]) == ("one\ntwo ", True)


def test_a_stop_string_inside_the_beginning_of_another_one_counts() -> None:
    assert feed(("abcd", "bc"), ["ab", "cd"]) == ("a", True)


def test_what_was_held_back_comes_at_the_end() -> None:
    assert feed(("END",), ["to the E", "N"]) == ("to the EN", False)


@pytest.mark.parametrize("stops", [(), ("",)])
def test_without_stop_strings_nothing_is_held_back(stops: tuple[str, ...]) -> None:
    assert StopStrings(stops).add("text") == ("text", False)


def expected(text: str, stops: list[str]) -> tuple[str, bool]:
    for end in range(1, len(text) + 1):
        if found := [stop for stop in stops if text[:end].endswith(stop)]:
            return text[: end - max(map(len, found))], True
    return text, False


@given(st.text("ab\n"), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4), st.data())
def test_the_cut_is_the_same_however_the_text_arrives(text: str, stops: list[str], data: st.DataObject) -> None:
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=5)))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert feed(tuple(stops), pieces) == expected(text, stops)


@given(st.text("ab\n"), st.lists(st.text("ab\n", min_size=1, max_size=4), max_size=4))
def test_no_more_is_held_than_may_become_a_stop_string(text: str, stops: list[str]) -> None:
    stop_strings = StopStrings(stops)
    said = ""
    for end in range(1, len(text) + 1):
        out, stopped = stop_strings.add(text[end - 1])
        said += out
        if stopped:
            break
        ends = (text[start:end] for start in range(end + 1))
        assert said + next(end for end in ends if not end or any(s.startswith(end) for s in stops)) == text[:end]
