"""How well a language model foretells what people said. Knows no corpus."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import cross_entropy

from core.engine.loading import Progress
from core.training.finetune import Lesson, collate

_TOKENS = 2048  # of a batch, with its padding


@dataclass(frozen=True, slots=True)
class Likelihood:
    """`nats` of all `tokens` together."""

    nats: float
    tokens: int

    @property
    def perplexity(self) -> float:
        return math.exp(self.nats / self.tokens)


@torch.inference_mode()
def likelihood(
    model: Any, lessons: Sequence[Lesson], progress: Progress = lambda _what, _share: None
) -> Likelihood:
    """Of the tokens that the lessons teach, by transformers' own forward pass."""
    model.train(False)
    nats, tokens, done = 0.0, 0, 0
    ordered = sorted(lessons, key=lambda lesson: len(lesson.ids))  # so that little is padding
    while done < len(ordered):
        batch = ordered[done : done + max(1, _TOKENS // len(ordered[min(done + 8, len(ordered) - 1)].ids))]
        example = {name: rows.to(model.device) for name, rows in collate(batch).items()}
        targets = example.pop("labels")[:, 1:]
        logits = model(**example, use_cache=False).logits[:, :-1]
        wanted = targets != -100
        nats += cross_entropy(logits[wanted].float(), targets[wanted], reduction="sum").double().item()
        tokens += int(wanted.sum())
        done += len(batch)
        progress("reading", done / len(ordered))
    return Likelihood(nats, tokens)
