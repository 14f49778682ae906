"""The prompt's order, and the window's jumps."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.engine import Message
from core.errors import PromptTooLong
from core.prompt import Prompt, build
from core.turns import Role, Turn


def words(messages: Sequence[Message]) -> int:
    return sum(len(message.text.split()) for message in messages)


def talk(*lengths: int, first: int = 1) -> list[Turn]:
    """Turns of so many words each, the person's first."""
    roles: tuple[Role, Role] = ("user", "assistant")
    return [
        Turn(number=first + i, role=roles[i % 2], text=" ".join(["word"] * length))
        for i, length in enumerate(lengths)
    ]


def asked(window: Sequence[Turn], text: str = "new", *, budget: int = 1000, now: str = "") -> Prompt:
    return build(window, text, persona="Be kind.", now=now, count=words, budget=budget)


def test_persona_is_first_and_time_is_last() -> None:
    prompt = asked(talk(1, 1), now="It is noon.")
    assert [message.role for message in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[0].text == "Be kind."
    assert prompt.messages[-1].text == "new\n\n(It is noon.)"


def test_window_stays_while_it_fits() -> None:
    prompt = asked(talk(5, 5, 5, 5), budget=23)
    assert prompt.start == 1
    assert prompt.tokens == 23


def test_window_jumps_to_sixty_percent_when_the_budget_is_passed() -> None:
    prompt = asked(talk(*[10] * 20), budget=150)
    assert prompt.tokens <= 90
    assert prompt.start == 13


def test_window_after_a_jump_grows_again_before_the_next() -> None:
    window, starts = talk(10, 10), []
    for _ in range(40):
        prompt = asked(window, " ".join(["word"] * 10), budget=150)
        starts.append(prompt.start)
        window = [turn for turn in window if prompt.start is None or turn.number >= prompt.start]
        window += talk(10, 10, first=window[-1].number + 1)
    jumps = sum(before != after for before, after in pairwise(starts))
    assert 8 <= jumps <= 14


def test_prompt_is_the_old_one_and_more_between_jumps() -> None:
    before = asked(talk(3, 3)).messages
    after = asked(talk(3, 3, 3, 3)).messages
    assert after[: len(before) - 1] == before[:-1]


def test_message_that_does_not_fit_alone_is_refused() -> None:
    with pytest.raises(PromptTooLong, match="13 tokens, and 12 fit"):
        asked([], "word " * 11, budget=12)


def test_answer_stopped_before_its_first_word_keeps_the_roles_in_turn() -> None:
    prompt = asked(talk(1, 0))
    assert [message.role for message in prompt.messages] == ["system", "user", "assistant", "user"]
    assert prompt.messages[2].text


def test_window_that_begins_with_an_answer_starts_at_the_next_question() -> None:
    window = talk(1, 1, 1, 1)[1:]
    assert asked(window).start == 3


@given(
    st.lists(st.integers(0, 30), max_size=40).map(lambda lengths: lengths[: len(lengths) // 2 * 2]),
    st.integers(4, 200),
)
def test_prompt_never_passes_its_budget(lengths: list[int], budget: int) -> None:
    prompt = asked(talk(*lengths), budget=budget)
    assert prompt.tokens == words(prompt.messages) <= budget
    assert prompt.messages[-1].text == "new"
