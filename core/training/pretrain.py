"""Pre-training: a decoder-only transformer learns to say the next token of conversations, from nothing.

Texts stand one behind the other in rows of equal length, with a separator before each, so that no token is
padding. They are written by the chat template: what comes out can already be talked to.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Literal

import torch
from transformers import AutoModelForCausalLM, LlamaConfig, PreTrainedTokenizerBase, set_seed

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.loading import Progress
from core.errors import CannotTrain
from core.training import extra
from core.training.corpora.corpus import Corpus
from core.training.corpora.dialogue import Dialogue
from core.training.muon import Muon
from core.training.run import Example, Run, RunSettings, Trained
from core.training.tokenizer import kept_tokenizer

Size = Literal["nano", "micro", "small"]


@dataclass(frozen=True, slots=True)
class _Shape:
    vocabulary: int
    hidden: int
    inner: int
    layers: int
    heads: int


_SHAPES: dict[Size, _Shape] = {
    "nano": _Shape(4096, 128, 384, 4, 4),  # 1.4 million parameters: as many as minutes on two cores can teach
    "micro": _Shape(8192, 384, 1024, 8, 6),  # 17 million
    "small": _Shape(16384, 768, 2048, 12, 12),  # 98 million: for a GPU
}


def pretrain(
    corpus: Corpus, run: RunSettings, *, size: Size = "nano", context: int = 512, progress: Progress
) -> Trained:
    """A model of `size` that reads `context` tokens, in `run.output`. Blocks for `run.minutes`. Raises
    `CannotTrain`."""
    extra.require("matplotlib")
    what = {"pretrain": size, "context": context, "corpora": corpus.report.names, "seed": run.seed}
    training = Run(run, what)
    with training.first():
        progress("making a tokenizer", 0.0)
        tokenizer = kept_tokenizer(corpus.train, training.output, _SHAPES[size].vocabulary)
    progress("reading the corpus", 0.0)
    examples, validation = (rows(part, tokenizer, context) for part in (corpus.train, corpus.validation))
    if not len(examples) or not len(validation):
        raise CannotTrain(f"the corpus is shorter than a row of {context} tokens: choose a smaller context")
    set_seed(run.seed)
    model: Any = AutoModelForCausalLM.from_config(_config(size, context, tokenizer))  # type: ignore[no-untyped-call]
    return training.train(
        model, tokenizer, examples, validation, collate=_collate, optimizer=Muon, progress=progress
    )


def rows(dialogues: Iterable[Dialogue], tokenizer: PreTrainedTokenizerBase, length: int) -> torch.Tensor:
    """All texts, `[row, token]`; what does not fill the last row is left out."""
    ids = torch.tensor(list(_stream(dialogues, tokenizer)), dtype=torch.long)
    return ids[: len(ids) // length * length].view(-1, length)


def _stream(dialogues: Iterable[Dialogue], tokenizer: PreTrainedTokenizerBase) -> Iterator[int]:
    chat = ChatTokenizer(tokenizer)
    for dialogue in dialogues:
        yield tokenizer.bos_token_id
        yield from chat.transcript(dialogue.messages)[0]


def _collate(examples: list[torch.Tensor]) -> Example:
    ids = torch.stack(examples)
    return {"input_ids": ids, "labels": ids}


def _config(size: Size, context: int, tokenizer: Any) -> LlamaConfig:
    shape = _SHAPES[size]
    return LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=shape.hidden,
        intermediate_size=shape.inner,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
        num_key_value_heads=shape.heads,
        max_position_embeddings=context,
        tie_word_embeddings=True,
        bos_token_id=tokenizer.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
