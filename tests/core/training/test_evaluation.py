"""What the figures of an evaluation mean, on replies whose figures are known."""

from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch

from bots.cli import cli
from core.engine.discriminator import Discriminator, DiscriminatorConfig
from core.engine.engine import Params
from core.engine.judge import Judge
from core.errors import CannotTrain
from core.training.corpora.dialogue import Dialogue
from core.training.evaluation import Evaluation, asked, bleu, distinct, evaluate, self_bleu
from core.training.finetune import lessons
from core.training.likelihood import likelihood
from tests.core.engine.tiny import byte_level, loaded
from tests.core.training.test_corpora import many, written
from tests.core.training.test_finetune import base

TALK = Dialogue.of([("user", "Hi"), ("assistant", "Hello there"), ("user", "And?"), ("assistant", "It rains")])
SAME = ["it rains on the hill today"] * 3
OTHER = ["it rains on the hill today", "a cat sleeps under my old chair", "we buy green apples and seven pears"]


def test_variety_is_the_share_of_what_is_new() -> None:
    assert distinct(["a b a", "B"], 1) == 2 / 4
    assert distinct(["a b a", "a b"], 2) == 2 / 3
    assert distinct(["", "a"], 2) == 0
    assert self_bleu(SAME) == pytest.approx(100)
    assert self_bleu(OTHER) < 10
    assert bleu(OTHER, OTHER) == pytest.approx(100)
    assert bleu(OTHER, OTHER[::-1]) < 50


def test_perplexity_is_of_each_token_alone_whatever_stands_beside_it() -> None:
    tokenizer = byte_level()
    model: Any = loaded(tokenizer).model
    taught = list(
        lessons([TALK, Dialogue.of([("user", "Hm"), ("assistant", "Yes")])], tokenizer, frozenset({2}), context=99)
    )
    nats, tokens = 0.0, 0
    for lesson in taught:
        with torch.inference_mode():
            said = model(torch.tensor([lesson.ids])).logits[0].log_softmax(-1)
        for at, label in enumerate(lesson.labels):
            if label != -100:
                nats, tokens = nats - float(said[at - 1, label]), tokens + 1
    found = likelihood(model, taught)
    assert found.tokens == tokens
    assert found.nats == pytest.approx(nats, rel=1e-4)


def test_the_last_answer_is_asked_for_with_the_persona_before_it() -> None:
    [one] = asked([TALK, Dialogue.of([("user", "nobody answers")])], "Be kind.")
    assert [message.text for message in one.prompt] == ["Be kind.", "Hi", "Hello there", "And?"]
    assert one.human == "It rains"


def test_a_model_is_measured_with_a_judge_and_without(tmp_path: Path) -> None:
    tokenizer = byte_level()
    Discriminator(DiscriminatorConfig(vocab_size=len(tokenizer), hidden_size=8)).save_pretrained(tmp_path)
    tokenizer.save_pretrained(tmp_path)
    judge = Judge(tmp_path)
    params = Params(max_tokens=6, temperature=1.0, seed=0)

    def measured(judge: Judge | None) -> Evaluation:
        model = loaded(tokenizer)
        return evaluate(model, [TALK] * 4, params, judge=judge, progress=lambda _what, _share: None)

    alone, judged = measured(None), measured(judge)
    judge.close()
    assert alone.discriminator_accuracy is None
    assert judged.discriminator_accuracy is not None
    assert 0 <= judged.discriminator_accuracy <= 1
    assert judged.replies == 4
    assert judged.perplexity == alone.perplexity > 1
    assert judged.human_words == 2
    with pytest.raises(CannotTrain, match="no answer"):
        evaluate(loaded(tokenizer), [Dialogue.of([("user", "Hi")])], params, progress=lambda _what, _share: None)


def test_the_command_writes_a_table_and_json(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    talk = written(tmp_path / "talk.jsonl", many(100))
    model = base(tmp_path / "model", template=True)
    figures = tmp_path / "figures.json"
    cli(
        ["evaluate", str(talk), "--model", str(model), "--replies", "2", "--json", str(figures)],
        standalone_mode=False,
    )
    found = msgspec.json.decode(figures.read_bytes(), type=Evaluation)
    assert found.replies == 2
    assert "perplexity" in capsys.readouterr().out


def test_a_model_speaks_to_nobody(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    model = base(tmp_path / "model", template=True)

    def said(*options: str) -> str:
        cli(["say", str(model), "--max-tokens", "9", *options], standalone_mode=False)
        return capsys.readouterr().out

    once = said("--seed", "1", "--count", "2")
    assert once.strip()
    assert said("--seed", "1", "--count", "2") == once
    assert said("--seed", "7", "--count", "2") != once
