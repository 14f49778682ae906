"""The bundled model itself, converted once for all tests: half a minute on two idle cores."""

from pathlib import Path

import pytest

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message, Params
from core.engine.loading import Loaded, load
from core.engine.local import LocalEngine, LocalSettings
from tests.core.engine.tiny import ask, running

GREEDY = Params(max_tokens=24, temperature=0.0)
CAPITAL = (Message("system", "You are a helpful assistant."), Message("user", "What is the capital of France?"))

pytestmark = pytest.mark.timeout(300)


@pytest.fixture(scope="session")
def smollm(models_dir: Path) -> Loaded:
    return load("default", models_dir=models_dir, progress=lambda *_: None)


async def test_it_knows_the_capital_of_france_and_understands_the_next_question_by_it(
    smollm: Loaded, models_dir: Path
) -> None:
    engine = LocalEngine(smollm, LocalSettings(native=models_dir.parent / "native"))
    async with running(engine):
        answer = await ask(engine, CAPITAL, GREEDY)
        said = Message("assistant", answer.text, answer.token_ids, engine.fingerprint)
        follow = await ask(engine, (*CAPITAL, said, Message("user", "And of Italy?")), GREEDY)
    assert "Paris" in answer.text
    assert answer.finish[-1] == "stop"
    assert "Rome" in follow.text


def test_its_template_and_end_of_turn_are_its_own(smollm: Loaded) -> None:
    chat = ChatTokenizer(smollm.tokenizer)
    prompt = chat.encode(CAPITAL)
    assert smollm.tokenizer.decode(list(prompt)) == (
        "<|im_start|>system\nYou are a helpful assistant.<|im_end|>\n"
        "<|im_start|>user\nWhat is the capital of France?<|im_end|>\n"
        "<|im_start|>assistant\n"
    )
    assert prompt[0] == 1
    assert smollm.end_of_turn == {2}
    assert chat.stops == ()
    assert smollm.context == 8192


def test_numbers_are_split_as_it_was_trained(smollm: Loaded) -> None:
    """Each digit is a token, and spaces before one stay together (SmolLM2's own tokenizer.json says so)."""
    chat = ChatTokenizer(smollm.tokenizer)
    assert [chat.decode([number]) for number in chat.encode_text("x   42")] == ["x", "   ", "4", "2"]
