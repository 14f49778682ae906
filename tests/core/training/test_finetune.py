"""What a model learns of a dialogue, and a fine-tuned model from its base to what is served."""

import json
from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message, Params
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.errors import CannotTrain
from core.training.corpora.corpus import Corpus, read
from core.training.corpora.dialogue import Dialogue
from core.training.finetune import Lesson, Method, finetune, lessons
from core.training.run import RunSettings, Trained
from tests.core.engine.architectures import ARCHITECTURES
from tests.core.engine.tiny import ask, byte_level, running
from tests.core.training.test_corpora import written

TOKENIZER = byte_level()
CHAT = ChatTokenizer(TOKENIZER)
END = 2
ANSWER = "It rains."


def of(*texts: str, first: str = "user") -> Dialogue:
    roles = ("user", "assistant") if first == "user" else ("assistant", "user")
    return Dialogue.of([(roles[i % 2], text) for i, text in enumerate(texts)])


def taught(*dialogues: Dialogue, context: int = 512, persona: str = "") -> list[Lesson]:
    return list(lessons(dialogues, TOKENIZER, frozenset({END}), context=context, persona=persona))


def test_the_loss_is_on_the_assistants_tokens_and_the_end_of_its_turn_alone() -> None:
    [lesson] = taught(of("What now?", "It <|im_end|> rains.", "And then?", "Nothing", "Bye"))
    prompt = CHAT.encode((Message("user", "What now?"),))
    assert lesson.ids[: len(prompt)] == prompt, "as it is served"
    assert set(lesson.labels[: len(prompt)]) == {-100}
    learning = [number for number in lesson.labels if number != -100]
    assert learning.count(END) == 2
    assert TOKENIZER.decode(learning, skip_special_tokens=True) == "It <|im_end|> rains.Nothing"
    assert all(label in (-100, number) for number, label in zip(lesson.ids, lesson.labels, strict=True))
    assert lesson.ids[-1] == END


def test_a_long_dialogue_goes_on_in_another_lesson_and_none_is_longer_than_the_context() -> None:
    texts = [f"This is message {i} of them." for i in range(20)]
    cut = taught(of(*texts), context=120, persona="Be kind.")
    assert len(cut) > 2
    assert all(len(lesson.ids) <= 120 for lesson in cut)
    begin = CHAT.encode((Message("system", "Be kind."), Message("user", texts[0])))
    assert all(lesson.ids[:10] == begin[:10] for lesson in cut)
    learning = [number for lesson in cut for number in lesson.labels if number != -100]
    assert TOKENIZER.decode(learning, skip_special_tokens=True) == "".join(texts[1::2])


def test_what_has_no_answer_or_is_too_long_alone_is_passed_over() -> None:
    assert taught(of("Hi"), of("Hi", "there", first="assistant")) == []
    [lesson] = taught(of("Hi", "long " * 400, "Hi", ANSWER), context=60)
    assert TOKENIZER.decode([n for n in lesson.labels if n != -100], skip_special_tokens=True) == ANSWER


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    """Whatever is asked, the answer is the same."""
    talk = [[("user", f"Question {i}?"), ("assistant", ANSWER)] for i in range(150)]
    lines = [json.dumps({"messages": [{"role": r, "content": c} for r, c in said]}) for said in talk]
    return read([str(written(tmp_path_factory.mktemp("corpus") / "talk.jsonl", "\n".join(lines)))])


def base(folder: Path, template: bool, architecture: str = "llama") -> Path:
    tokenizer = byte_level() if template else byte_level(template=None)
    model: Any = ARCHITECTURES[architecture](len(tokenizer), 256)
    model.float()
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def tune(corpus: Corpus, folder: Path, output: Path, method: Method, steps: int) -> Trained:
    settings = RunSettings(output=output, steps=steps, batch=16, learning_rate=0.02, checkpoint_minutes=10)
    return finetune(
        corpus,
        settings,
        base=str(folder),
        models_dir=output.parent,
        method=method,
        context=128,
        persona="Be kind.",
        progress=lambda _what, _share: None,
    )


@pytest.mark.parametrize(
    ("method", "template", "architecture"),
    [
        ("full", True, "llama"),
        ("lora", True, "llama"),
        ("full", False, "llama"),
        ("full", True, "recurrent"),
    ],
)
async def test_a_tuned_model_answers_as_it_was_taught(
    corpus: Corpus, tmp_path: Path, method: Method, template: bool, architecture: str
) -> None:
    source, out = base(tmp_path / "base", template, architecture), tmp_path / "out"
    trained = tune(corpus, source, out, method, 60)
    assert trained.loss is not None
    assert trained.loss < 0.5
    assert AutoTokenizer.from_pretrained(out).chat_template
    assert type(AutoModelForCausalLM.from_pretrained(out)) is type(AutoModelForCausalLM.from_pretrained(source))
    loaded = load(str(out), models_dir=tmp_path, precision="float32", progress=lambda _what, _share: None)
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01))
    chat = (Message("system", "Be kind."), Message("user", "Question 77?"))
    async with running(engine):
        answer = await ask(engine, chat, Params(max_tokens=30, temperature=0.0))
    assert answer.text.strip() == ANSWER
    assert answer.finish[-1] == "stop"


def test_a_corpus_without_an_answer_is_refused(tmp_path: Path) -> None:
    prose = read([str(written(tmp_path / "prose.txt", "\n\n".join(f"Line {i}." for i in range(200))))])
    with pytest.raises(CannotTrain, match="no answer in the corpus is short enough"):
        tune(prose, base(tmp_path / "base", True), tmp_path / "out", "full", 1)
