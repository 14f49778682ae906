"""Which questions are asked."""

import pytest

from benchmarks.load import TURNS, dialogues, questions


def _conversation(*messages: str) -> dict[str, object]:
    return {"messages": [[{"text": line} for line in message.split("/")] for message in messages]}


def _data(count: int) -> dict[str, object]:
    return {f"{n:03}": _conversation(*(f"{n} says {m}" for m in range(2 * TURNS + 1))) for n in range(count)}


def test_questions_are_those_of_the_first_speaker() -> None:
    assert questions(_data(1), 1) == [[f"0 says {2 * turn}" for turn in range(TURNS)]]


def test_what_was_sent_in_several_lines_is_one_message() -> None:
    assert dialogues({"a": _conversation("Hello / you there", "yes")}, 1, messages=2) == [
        ["Hello you there", "yes"]
    ]


def test_the_choice_depends_on_the_ids_alone() -> None:
    data = _data(50)
    backwards = dict(reversed(data.items()))
    assert dialogues(data, 20, messages=4) == dialogues(backwards, 20, messages=4)


def test_no_conversation_is_chosen_twice() -> None:
    chosen = dialogues(_data(30), 30, messages=2)
    assert sorted(chosen) == sorted(dialogues(_data(30), 30, messages=2))
    assert len({tuple(dialogue) for dialogue in chosen}) == 30


@pytest.mark.parametrize(
    "useless",
    [_conversation("only one"), _conversation("one", ""), _conversation("one", "x" * 401)],
    ids=["too few", "an empty one", "a very long one"],
)
def test_useless_conversations_are_passed_over(useless: dict[str, object]) -> None:
    data = {"a": useless, "b": _conversation("one", "two")}
    assert dialogues(data, 1, messages=2) == [["one", "two"]]
    with pytest.raises(ValueError, match="2 are needed"):
        dialogues(data, 2, messages=2)
