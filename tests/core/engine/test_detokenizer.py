from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.detokenizer import Detokenizer
from tests.core.engine.tiny import byte_fallback, byte_level

TOKENIZERS = {"byte level": ChatTokenizer(byte_level()), "byte fallback": ChatTokenizer(byte_fallback())}
TEXTS = (
    "hello  there,\n\n  friend ",
    "👩‍👩‍👧‍👦 flags 🇩🇪 and 👍🏽!",
    "你好，世界。 日本語",
    "שלום עולם مرحبا",
    "e\u0301 naïve — “quotes” …",
)


def stream(tokenizer: ChatTokenizer, token_ids: Sequence[int]) -> list[str]:
    detokenizer = Detokenizer(tokenizer.decode)
    return [*map(detokenizer.add, token_ids), detokenizer.flush()]


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@pytest.mark.parametrize("text", TEXTS)
def test_pieces_are_the_text_and_never_half_a_character(tokenizer: ChatTokenizer, text: str) -> None:
    token_ids = tokenizer.encode_text(text)
    pieces = stream(tokenizer, token_ids)
    assert "".join(pieces) == text
    assert "\ufffd" not in "".join(pieces)
    assert len(token_ids) > len(text.split())


def test_a_character_appears_with_its_last_token() -> None:
    tokenizer = TOKENIZERS["byte level"]
    token_ids = tokenizer.encode_text("🦊")
    assert len(token_ids) == 4
    assert stream(tokenizer, token_ids) == ["", "", "", "🦊", ""]


def test_half_a_character_at_the_end_is_left_out() -> None:
    tokenizer = TOKENIZERS["byte level"]
    detokenizer = Detokenizer(tokenizer.decode)
    assert [detokenizer.add(number) for number in tokenizer.encode_text("a🦊")[:-1]] == ["a", "", "", ""]
    assert detokenizer.flush() == ""
    assert detokenizer.holds_back


def test_bytes_that_never_become_text_cost_no_more_the_more_there_are() -> None:
    tokenizer = TOKENIZERS["byte level"]
    half = tokenizer.encode_text("🦊")[0]
    decoded = 0

    def decode(token_ids: Sequence[int]) -> str:
        nonlocal decoded
        decoded += len(token_ids)
        return tokenizer.decode(token_ids)

    detokenizer = Detokenizer(decode)
    said = "".join(detokenizer.add(half) for _ in range(4096))
    assert (said, detokenizer.flush()) == ("", "")
    assert decoded < 4 * 4096


def test_text_behind_many_bytes_that_are_none_is_not_lost() -> None:
    tokenizer = TOKENIZERS["byte level"]
    token_ids = (*tokenizer.encode_text("🦊")[:1] * 50, *tokenizer.encode_text("hello"))
    assert "".join(stream(tokenizer, token_ids)) == "\ufffd" * 50 + "hello"


def test_a_special_token_is_no_text_and_costs_none() -> None:
    tokenizer = TOKENIZERS["byte level"]
    hello = tokenizer.encode_text("hello")
    assert "".join(stream(tokenizer, (*hello, 1, *hello))) == "hellohello"


characters = st.characters(codec="utf-8", exclude_characters="\ufffd▁")


@pytest.mark.parametrize("tokenizer", TOKENIZERS.values(), ids=TOKENIZERS)
@given(text=st.text(characters))
def test_any_text_streams_as_it_decodes_at_once(tokenizer: ChatTokenizer, text: str) -> None:
    token_ids = tokenizer.encode_text(text)
    assert "".join(stream(tokenizer, token_ids)) == tokenizer.decode(token_ids)


@given(st.text(characters))
def test_byte_level_text_comes_out_as_it_went_in(text: str) -> None:
    tokenizer = TOKENIZERS["byte level"]
    assert "".join(stream(tokenizer, tokenizer.encode_text(text))) == text


@given(st.lists(st.integers(3, 350)))
def test_bytes_that_are_no_text_give_the_same_as_at_once(token_ids: list[int]) -> None:
    tokenizer = TOKENIZERS["byte level"]
    whole = tokenizer.decode(token_ids)
    assert "".join(stream(tokenizer, token_ids)) == whole.rstrip("\ufffd")
