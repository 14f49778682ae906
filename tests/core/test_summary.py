"""When a summary is due, what a model is asked for it, and what prompts make of it."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message
from core.errors import PromptTooLong
from core.prompt import Prompt, build
from core.summary import NO_SUMMARIES, Summaries, Summary, due, longest, request, whole_sentences
from core.turns import Role, Speaker, Turn
from tests.core.engine.tiny import byte_level

BUDGET = 100


@pytest.fixture(scope="module")
def tokenizer() -> ChatTokenizer:
    return ChatTokenizer(byte_level(every_byte=False))


def words(messages: Sequence[Message]) -> int:
    return sum(len(message.text.split()) for message in messages)


def talk(*lengths: int, first: int = 1) -> list[Turn]:
    """Turns of so many words each, the person's first."""
    roles: tuple[Role, Role] = ("user", "assistant")
    return [
        Turn(number=first + i, role=roles[i % 2], text=" ".join(["word"] * length), count=length)
        for i, length in enumerate(lengths)
    ]


def summary(upto: int, length: int = 6) -> Summary:
    return Summary(" ".join(["short"] * length), upto)


def asked(window: Sequence[Turn], summaries: Summaries, text: str = "new", budget: int = BUDGET) -> Prompt:
    return build(window, text, persona="Be kind.", summaries=summaries, count=words, budget=budget)


def up_to(window: Sequence[Turn], summaries: Summaries = NO_SUMMARIES) -> int | None:
    return due(window, summaries, used=sum(turn.count for turn in window), budget=BUDGET)


def test_summary_is_due_before_the_window_is_full_and_up_to_where_the_jump_will_go() -> None:
    assert up_to(talk(*[10] * 6)) is None
    assert up_to(talk(*[10] * 8)) == 6


def test_summary_that_is_there_is_not_due_again() -> None:
    assert up_to(talk(*[10] * 8), Summaries(next=summary(6))) is None
    assert up_to(talk(*[10] * 8, first=7), Summaries(summary(6))) == 10


def test_summary_that_waits_is_not_shown_before_the_window_jumps() -> None:
    window = talk(*[10] * 8)
    assert asked(window, Summaries(next=summary(6))).messages == asked(window, Summaries()).messages


def test_window_begins_after_the_summary_when_it_jumps() -> None:
    prompt = asked(talk(*[10] * 10), Summaries(next=summary(6)))
    assert (
        prompt.messages[0].text == "Be kind.\n\nEarlier in this conversation: short short short short short short"
    )
    assert (prompt.start, prompt.jumped) == (7, True)


def test_jump_without_a_summary_is_as_ever() -> None:
    prompt = asked(talk(*[10] * 10), Summaries())
    assert (prompt.start, prompt.jumped, prompt.messages[0].text) == (7, False, "Be kind.")


def test_jump_goes_beyond_a_summary_when_too_much_was_said_since() -> None:
    prompt = asked(talk(*[10] * 20), Summaries(next=summary(6)))
    assert (prompt.start, prompt.jumped) == (17, True)
    assert prompt.tokens <= BUDGET * 0.6


def test_turns_that_the_summary_tells_are_not_shown_beside_it() -> None:
    """Nobody knows where the window starts after the branch was cut: all that is kept is read."""
    prompt = asked(talk(1, 1, 1, 1, 1, 1), Summaries(summary(4)))
    assert prompt.start == 5


def test_message_that_has_room_only_without_the_summary_is_answered() -> None:
    prompt = asked(talk(10, 10), Summaries(summary(0, 12)), "word " * 90)
    assert (prompt.tokens, prompt.start, prompt.jumped) == (92, None, False)
    with pytest.raises(PromptTooLong, match="101 tokens, and 100 fit"):
        asked([], Summaries(summary(0, 12)), "word " * 99)


@given(
    st.lists(st.integers(0, 30), max_size=40).map(lambda lengths: lengths[: len(lengths) // 2 * 2]),
    st.integers(4, 200),
    st.integers(0, 40),
    st.integers(0, 40),
    st.none() | st.integers(0, 40),
)
def test_prompt_never_passes_its_budget_with_the_summary_counted(
    lengths: list[int], budget: int, shown_to: int, length: int, next_length: int | None
) -> None:
    following = None if next_length is None else summary(shown_to + 4, next_length)
    prompt = asked(talk(*lengths), Summaries(summary(shown_to, length), following), budget=budget)
    assert prompt.tokens == words(prompt.messages) <= budget
    assert prompt.messages[-1].text == "new"
    told = (following if prompt.jumped and following else Summary(upto=shown_to)).upto
    assert prompt.start is None or prompt.start > told


@given(st.lists(st.tuples(st.integers(1, 12), st.integers(0, 12), st.booleans()), min_size=20, max_size=50))
def test_prompts_go_on_by_the_same_token_ids_until_the_window_jumps(
    tokenizer: ChatTokenizer, said: list[tuple[int, int, bool]]
) -> None:
    """Summaries are ready at once, or are late, as it comes."""
    summaries, window = Summaries(), list[Turn]()
    prompts: list[tuple[int, tuple[int, ...]]] = []
    for number, (question, reply, ready) in enumerate(said):
        turns = talk(question, reply, first=2 * number + 1)
        prompt = asked(window, summaries, turns[0].text)
        start = prompt.start or turns[0].number
        prompts.append((start, tokenizer.encode(prompt.messages)))
        window = [turn for turn in (*window, *turns) if turn.number >= start]
        summaries = summaries.after_a_jump() if prompt.jumped else summaries
        upto = due(window, summaries, used=prompt.tokens + reply, budget=BUDGET)
        if upto is not None and ready:
            summaries = Summaries(summaries.shown, summary(upto))
    for (start, before), (next_start, after) in pairwise(prompts):
        assert next_start != start or after[: len(before)] == before
    assert len({start for start, _ in prompts}) < len(prompts)


def test_model_is_asked_with_the_last_summary_and_the_names_of_those_who_spoke() -> None:
    ann = Speaker("1", "Ann")
    turns = [
        Turn(number=1, role="user", text="I like tea.", speaker=ann),
        Turn(number=2, role="assistant", text="So do I."),
        Turn(number=3, role="user", text="And I coffee.", speaker=Speaker("2", "Bob")),
    ]
    found = request("They met.", turns, name="Trialogue", words=50, count=words, room=500)
    assert found is not None
    told, said = (message.text for message in found)
    assert "at most 50 words" in told
    assert said.startswith("The summary so far:\nThey met.\n")
    assert "Ann: I like tea.\nTrialogue: So do I.\nBob: And I coffee.\n" in said


@given(st.lists(st.integers(0, 30), max_size=30), st.integers(1, 400))
def test_request_for_a_summary_never_passes_its_room(lengths: list[int], room: int) -> None:
    turns = talk(*lengths)
    found = request("before", turns, name="Bot", words=9, count=words, room=room)
    if found is not None:
        assert words(found) <= room
        assert turns[-1].text in found[1].text


def test_what_a_summary_may_take_follows_the_budget() -> None:
    assert [longest(budget) for budget in (100, 2048, 100_000)] == [12, 256, 256]


def test_text_that_broke_off_ends_with_its_last_whole_sentence() -> None:
    assert whole_sentences("Ann likes tea. Bob likes cof") == "Ann likes tea."
    assert whole_sentences("Yes. Ann has told Bob that she likes") == "Yes. Ann has told Bob that she likes"
