"""The generator, the discriminator and their game: what each move does, and a training that is broken off."""

import csv
import json
import signal
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.discriminator import Discriminator, DiscriminatorConfig
from core.engine.engine import Message, Params
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.engine.recurrent import RecurrentConfig, RecurrentForCausalLM
from core.errors import CannotTrain
from core.training.adversarial.adversarial import Played, adversarial
from core.training.adversarial.game import Game, GameSettings, accuracy, chance, loss_of
from core.training.adversarial.pairs import Pairs, from_dialogues
from core.training.adversarial.sampling import draw
from core.training.adversarial.training import Plan
from core.training.corpora.corpus import Corpus, read
from core.training.corpora.dialogue import Dialogue
from tests.core.engine.tiny import ask, byte_level, running
from tests.core.training.test_corpora import many, written
from tests.core.training.test_run import largest_file

VOCABULARY, END, ROOM = 12, 0, 6


def generator(seed: int = 0) -> RecurrentForCausalLM:
    torch.manual_seed(seed)
    config = RecurrentConfig(vocab_size=VOCABULARY, hidden_size=16, initializer_range=0.5)
    model = RecurrentForCausalLM(config)
    model.train(False)
    return model


def discriminator() -> Discriminator:
    torch.manual_seed(0)
    config = DiscriminatorConfig(vocab_size=VOCABULARY, hidden_size=16, dropout=0.0)
    model = Discriminator(config)
    model.train(False)
    return model


def counting(count: int) -> Pairs:
    """After each number comes the next one, up to 11, and then the end."""
    said = [[*range(first + 1, VOCABULARY), END][:ROOM] for first in range(1, VOCABULARY)]
    return Pairs.of([((5, first), said[first - 1]) for first in range(1, VOCABULARY)] * count, END, ROOM)


def test_a_dialogue_becomes_a_pair_for_each_answer_and_one_without_a_context() -> None:
    tokenizer = byte_level()
    chat = ChatTokenizer(tokenizer)
    dialogue = Dialogue.of(
        [("user", "Hi"), ("assistant", "Hello"), ("user", "And?"), ("assistant", "It rains " * 9)]
    )
    pairs = from_dialogues([dialogue], chat, end=2, padding=0, context=20, reply=8)

    def shown(row: int) -> tuple[str, str]:
        before = pairs.context[row][pairs.context_mask[row].bool()]
        return str(tokenizer.decode(before)), str(tokenizer.decode(pairs.reply[row][pairs.reply_mask[row].bool()]))

    assert shown(0) == ("<|im_start|>user\nHi<|im_end|>\n<|im_start|>assistant\n", "Hello<|im_end|>")
    before, said = shown(1)
    assert before.endswith("And?<|im_end|>\n<|im_start|>assistant\n")
    assert said.startswith("It rains")
    assert "<|im_end|>" not in said, "it was cut"
    assert shown(2) == ("<|im_start|>assistant\n", "Hello<|im_end|>")
    assert len(pairs) == 3


def test_what_is_drawn_is_what_the_model_thinks_likely() -> None:
    model = generator()
    contexts = counting(1)[slice(0, 1)]
    first = torch.zeros(VOCABULARY)
    random = torch.Generator().manual_seed(0)
    many = Pairs(
        *(
            part.expand(4000, -1)
            for part in (contexts.context, contexts.context_mask, contexts.reply, contexts.reply_mask)
        )
    )
    drawn = draw(model, many, random, end=END)
    first = torch.bincount(drawn.reply[:, 0], minlength=VOCABULARY) / len(drawn)
    with torch.no_grad():
        expected = model(contexts.context).logits[0, -1].softmax(-1)
    assert torch.allclose(first, expected, atol=0.03)
    ended = drawn.reply == END
    assert torch.equal(drawn.reply_mask[:, 1:], drawn.reply_mask[:, :-1] * ~ended[:, :-1]), (
        "nothing comes behind it"
    )


def test_the_evidence_of_the_tokens_of_a_reply_is_the_score_of_it() -> None:
    judge, pairs = discriminator(), counting(1)
    ids = torch.cat([pairs.context, pairs.reply], 1)
    mask = torch.cat([pairs.context_mask, pairs.reply_mask], 1)
    with torch.no_grad():
        evidence = judge.evidence(ids[:, :-1], mask[:, :-1], ROOM)
        said = (evidence.gather(2, pairs.reply[..., None])[..., 0] * pairs.reply_mask).sum(1) + judge.constant
    assert torch.allclose(said.sigmoid(), chance(judge, pairs), atol=1e-6)


def test_padding_changes_neither_a_chance_nor_a_loss() -> None:
    pairs = counting(1)
    judge, model = discriminator(), generator()
    wider = Pairs.of([((5, 1), [2, 3, 4])], END, 30)
    narrow = Pairs.of([((5, 1), [2, 3, 4])], END, 3)
    assert torch.allclose(chance(judge, wider), chance(judge, narrow), atol=1e-6)
    longer = Pairs.of([((5, 1), [2, 3, 4]), ((7, 7, 7, 5, 1), [2])], END, 30)[slice(0, 1)]
    assert torch.allclose(chance(judge, longer), chance(judge, narrow), atol=1e-6)
    assert loss_of(model, longer) == pytest.approx(loss_of(model, narrow), rel=1e-5)
    assert len(chance(judge, pairs)) == len(pairs)


def test_likelihood_teaches_to_count_and_the_discriminator_tells_who_cannot() -> None:
    game = Game(
        generator(),
        discriminator(),
        counting(8),
        GameSettings(learning_rate=0.02, discriminator_rate=0.01, end=END),
        seed=0,
    )
    told = [game.tell() for _ in range(60)]
    assert sum(told[-5:]) / 5 > 0.9
    losses = [game.learn() for _ in range(60)]
    assert losses[-1] < losses[0] / 5
    generated = draw(game.generator, counting(4), game.random, end=END)
    assert accuracy(game.chance(counting(4)), game.chance(generated)) < 0.7, "now it has learnt to count"


def test_the_game_alone_raises_the_reward() -> None:
    """Without a human word: the discriminator stays as it is, and the generator learns to please it."""
    settings = GameSettings(policy_rate=0.02, discriminator_rate=0.01, teacher_forcing=0.0, end=END)
    game = Game(generator(), discriminator(), counting(8), settings, seed=0)
    for _ in range(60):
        game.tell()
    before = game.chance(draw(game.generator, counting(8), game.random, end=END)).mean()
    rewards = [game.play() for _ in range(40)]
    assert sum(rewards[-5:]) > sum(rewards[:5])
    assert game.chance(draw(game.generator, counting(8), game.random, end=END)).mean() > before + 0.3


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return read([str(written(tmp_path_factory.mktemp("corpus") / "talk.jsonl", many(200)))])


CHECKS = {"warm-up": 2, "discriminator": 2, "rounds": 2}
PLAN = Plan(minutes=60, warm_up=4, discriminator=2, rounds=2, plays=1, tells=1, checks=CHECKS)  # type: ignore[arg-type]


def play(
    corpus: Corpus, output: Path, plan: Plan = PLAN, *, at: tuple[str, Callable[[], None]] | None = None
) -> Played:
    def tell(what: str, _share: float) -> None:
        if at is not None and what.startswith(at[0]):
            at[1]()

    return adversarial(corpus, output, plan, GameSettings(batch=8), context=16, reply=4, progress=tell)


def rows(output: Path) -> list[dict[str, str]]:
    with (output / "loss.csv").open() as file:
        return list(csv.DictReader(file))


async def test_the_generator_is_served_and_its_discriminator_lies_beside_it(
    corpus: Corpus, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    played = play(corpus, out)
    assert (played.rounds, played.interrupted) == (2, False)
    assert [row["phase"] for row in rows(out)] == ["warm-up"] * 3 + ["discriminator", "rounds"]
    assert (out / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert isinstance(AutoModelForCausalLM.from_pretrained(out), RecurrentForCausalLM)
    judge: Any = AutoModelForSequenceClassification.from_pretrained(out / "discriminator")
    assert isinstance(judge, Discriminator)
    assert judge.config.id2label == {0: "generated", 1: "human"}
    loaded = load(str(out), models_dir=tmp_path, progress=lambda _what, _share: None)
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01))
    async with running(engine):
        for prompt in ("Hi", (Message("assistant", ""),)):
            answer = await ask(engine, prompt, Params(max_tokens=4))
            assert answer.finish[-1] in {"stop", "length"}


@pytest.mark.parametrize("where", ["warm-up 2", "discriminator 2", "rounds 2"])
def test_a_game_that_was_broken_off_goes_on_as_if_it_had_never_stopped(
    corpus: Corpus, tmp_path: Path, where: str
) -> None:
    plan = replace(PLAN, rounds=4)
    whole = play(corpus, tmp_path / "whole", plan)
    broken = play(corpus, tmp_path / "out", plan, at=(where, lambda: signal.raise_signal(signal.SIGINT)))
    assert broken.interrupted
    assert not (tmp_path / "out" / "config.json").exists()
    again = play(corpus, tmp_path / "out", plan)
    assert again == whole
    assert [row["step"] for row in rows(tmp_path / "out")] == [row["step"] for row in rows(tmp_path / "whole")]


def test_a_full_disk_keeps_the_last_checkpoint(corpus: Corpus, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with (
        largest_file() as limit,
        pytest.raises(CannotTrain, match=r"cannot be written.*run the same command again"),
    ):
        play(corpus, out, at=("discriminator", lambda: limit(100_000)))
    assert [path.name for path in out.glob(".*")] == []
    assert play(corpus, out).rounds == 2


def test_another_game_in_the_folder_and_a_corpus_without_answers_are_refused(
    corpus: Corpus, tmp_path: Path
) -> None:
    play(corpus, tmp_path / "out")
    with pytest.raises(CannotTrain, match="has another training"):
        adversarial(corpus, tmp_path / "out", PLAN, GameSettings(), context=9, progress=lambda _what, _share: None)
    lines = [json.dumps({"messages": [{"role": "user", "content": f"Line {i}."}]}) for i in range(200)]
    prose = read([str(written(tmp_path / "prose.jsonl", "\n".join(lines)))])
    with pytest.raises(CannotTrain, match="nobody is answered"):
        play(prose, tmp_path / "prose")
