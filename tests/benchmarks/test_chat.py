"""The closed loop, and the prompts that all engines get."""

import time
from collections.abc import Sequence
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers

from benchmarks.chat import END_OF_TURN, SYSTEM, Answer, ChatML, Message, converse
from core.engine import engine as core
from core.engine.chat_tokenizer import ChatTokenizer
from tests.core.engine import tiny


@pytest.fixture
def chatml(tmp_path: Path) -> ChatML:
    """Each letter is a token."""
    letters = [chr(code) for code in range(32, 127)]
    special = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    vocabulary = {token: number for number, token in enumerate([*special, *letters, "\n"])}
    tokenizer = Tokenizer(models.WordLevel(vocabulary, unk_token="?"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("", "isolated")
    tokenizer.decoder = decoders.Fuse()
    tokenizer.add_special_tokens([AddedToken(token, special=True) for token in special])
    tokenizer.save(str(tmp_path / "tokenizer.json"))
    return ChatML(tmp_path / "tokenizer.json")


class Parrot:
    """Says the last question back, backwards."""

    def __init__(self, chatml: ChatML) -> None:
        self._chatml = chatml
        self.histories: list[tuple[int, list[Message]]] = []

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:
        self.histories.append((conversation, list(history)))
        token_ids = self._chatml.encode(history[-1].text[::-1])[:max_tokens]
        return Answer(token_ids, time.perf_counter(), len(self._chatml.prompt(history)))


def test_a_prompt_is_chatml_around_each_message(chatml: ChatML) -> None:
    prompt = chatml.prompt([Message("system", "s"), Message("user", "u")])
    start, end = chatml.encode("<|im_start|>")[0], END_OF_TURN
    assert chatml.encode("<|im_end|>") == (END_OF_TURN,)
    assert prompt == [
        *(start, *chatml.encode("system\ns"), end, *chatml.encode("\n")),
        *(start, *chatml.encode("user\nu"), end, *chatml.encode("\n")),
        *(start, *chatml.encode("assistant\n")),
    ]


def test_an_answer_is_spliced_in_as_the_tokens_that_it_was_made_of(chatml: ChatML) -> None:
    asked = [Message("user", "u")]
    made = (90, 91)
    after = chatml.prompt([*asked, Message("assistant", "other text", made), Message("user", "v")])
    before = chatml.prompt(asked)
    assert after[: len(before) + 3] == [*before, *made, END_OF_TURN]


def test_a_prompt_is_the_one_that_our_engine_makes_of_the_same_messages(tmp_path: Path) -> None:
    tokenizer = tiny.byte_level()
    tokenizer.save_pretrained(tmp_path)
    chatml, ours = ChatML(tmp_path / "tokenizer.json"), ChatTokenizer(tokenizer)
    made = chatml.encode(" It rains")
    history = [Message("system", SYSTEM), Message("user", "2024?\n"), Message("assistant", " It rains", made)]
    history.append(Message("user", "Why?"))
    messages = [
        core.Message("system", SYSTEM),
        core.Message("user", "2024?\n"),
        core.Message("assistant", " It rains", made, ours.fingerprint),
        core.Message("user", "Why?"),
    ]
    assert tuple(chatml.prompt(history)) == ours.encode(messages)


async def test_each_turn_sends_the_whole_history_with_the_answers(chatml: ChatML) -> None:
    parrot = Parrot(chatml)
    await converse(parrot, chatml, [["ab", "cd"]], max_tokens=8)
    (_, first), (_, second) = parrot.histories
    assert first == [Message("system", SYSTEM), Message("user", "ab")]
    assert second == [*first, Message("assistant", "ba", chatml.encode("ba")), Message("user", "cd")]


async def test_turns_say_who_asked_what_came_and_how_long_the_prompt_was(chatml: ChatML) -> None:
    turns = await converse(Parrot(chatml), chatml, [["abc", "defg"], ["hi", "jk"]], max_tokens=3)
    assert sorted((turn.conversation, turn.number, turn.tokens) for turn in turns) == [
        (0, 0, 3),
        (0, 1, 3),
        (1, 0, 2),
        (1, 1, 2),
    ]
    assert all(turn.prompt == turn.expected > 0 for turn in turns)
    assert all(turn.first >= 0 for turn in turns)


async def test_an_engine_that_fails_ends_all_conversations(chatml: ChatML) -> None:
    class Broken(Parrot):
        async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:
            raise RuntimeError("broken")

    with pytest.raises(ExceptionGroup) as caught:
        await converse(Broken(chatml), chatml, [["a"], ["b"]], max_tokens=3)
    assert caught.group_contains(RuntimeError, match="broken")
