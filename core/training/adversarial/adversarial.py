"""The training of a corpus's adversarial pair: from dialogues to a generator that the engine serves, and the
discriminator in a folder below it."""

from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Literal

import torch
from transformers import PreTrainedTokenizerBase

from core.engine import threads
from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.checkpoint import silence_transformers
from core.engine.discriminator import Discriminator, DiscriminatorConfig
from core.engine.loading import Progress
from core.engine.recurrent import RecurrentConfig, RecurrentForCausalLM
from core.errors import CannotTrain
from core.training import extra
from core.training.adversarial.game import Game, GameSettings
from core.training.adversarial.pairs import Pairs, from_dialogues
from core.training.adversarial.training import Plan, Training
from core.training.corpora.corpus import Corpus
from core.training.folder import claim, disk, interrupts, publish
from core.training.tokenizer import kept_tokenizer

Size = Literal["nano", "micro", "small"]

DISCRIMINATOR = "discriminator"
"""The folder of the discriminator."""


@dataclass(frozen=True, slots=True)
class _Shape:
    vocabulary: int
    cells: int
    layers: int


_SHAPES: dict[Size, _Shape] = {
    "nano": _Shape(4096, 384, 1),  # 4.3 million parameters
    "micro": _Shape(8192, 768, 2),  # 22 million
    "small": _Shape(16384, 1024, 3),  # 59 million: for a patient machine
}


@dataclass(frozen=True, slots=True)
class Played:
    """`loss` is the validation's, in nats a token; `accuracy` how many replies the discriminator tells right, half
    of them human. `None`: it was interrupted before there was one."""

    rounds: int
    loss: float | None
    accuracy: float | None
    interrupted: bool


def adversarial(
    corpus: Corpus,
    output: Path,
    plan: Plan,
    settings: GameSettings,
    *,
    size: Size = "nano",
    context: int = 64,
    reply: int = 32,
    seed: int = 0,
    progress: Progress,
) -> Played:
    """A generator of `size` in `output`, which learnt to answer the last `context` tokens with `reply` tokens.
    Blocks for `plan.minutes`. Raises `CannotTrain`."""
    extra.require("matplotlib")
    silence_transformers()
    what = {
        "adversarial": size,
        "context": context,
        "reply": reply,
        "corpora": corpus.report.names,
        "seed": seed,
    }
    threads.use(None)
    with disk(output):
        claim(output, what)
        progress("reading the corpus", 0.0)
        tokenizer = kept_tokenizer(corpus.train, output, _SHAPES[size].vocabulary)
        end: Any = tokenizer.eos_token_id
        human, validation = (
            from_dialogues(part, ChatTokenizer(tokenizer), end=end, padding=end, context=context, reply=reply)
            for part in (corpus.train, corpus.validation)
        )
        if not len(human) or not len(validation):
            raise CannotTrain("nobody is answered in the corpus, or in a part of it")
        training = _training(
            human, validation, tokenizer, output, plan, settings, size=size, seed=seed, progress=progress
        )
        with interrupts(training.interrupt):
            training.run()
        if not training.interrupted:
            progress("writing the models", 1.0)
            _publish(training, tokenizer, output)
    return _played(training)


def _training(
    human: Pairs,
    validation: Pairs,
    tokenizer: Any,
    output: Path,
    plan: Plan,
    settings: GameSettings,
    *,
    size: Size,
    seed: int,
    progress: Progress,
) -> Training:
    shape = _SHAPES[size]
    torch.manual_seed(seed)
    generator = RecurrentForCausalLM(
        RecurrentConfig(
            vocab_size=len(tokenizer),
            hidden_size=shape.cells,
            num_hidden_layers=shape.layers,
            dropout=0.1,
            initializer_range=0.05,
            tie_word_embeddings=True,
            bos_token_id=tokenizer.bos_token_id,
            eos_token_id=tokenizer.eos_token_id,
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    discriminator = Discriminator(
        DiscriminatorConfig(
            vocab_size=len(tokenizer),
            context_size=human.context.shape[1],
            reply_size=human.reply.shape[1],
            pad_token_id=tokenizer.pad_token_id,
        )
    )
    game = Game(generator, discriminator, human, replace(settings, end=tokenizer.eos_token_id), seed=seed)
    return Training(game, validation, plan, output, end=tokenizer.eos_token_id, progress=progress)


def _publish(training: Training, tokenizer: PreTrainedTokenizerBase, output: Path) -> None:
    game = training.game
    publish(game.discriminator, tokenizer, output / DISCRIMINATOR)
    publish(game.generator, tokenizer, output)


def _played(training: Training) -> Played:
    last = training.history[-1] if training.history else {}
    return Played(
        int(last.get("step", 0)) if last.get("phase") == "rounds" else 0,
        last.get("validation_loss"),
        last.get("discriminator_accuracy"),
        training.interrupted,
    )
