"""Logits in, one token id out. Knows nothing of sequences or models."""

from collections.abc import Sequence

import torch

from core.engine.engine import Params


class Sampler:
    """Samples one completion's tokens: repetition penalty, temperature, top-k and top-p, in the order in which
    transformers applies them. With a `seed` the same logits give the same tokens."""

    def __init__(self, params: Params) -> None:
        self._params = params
        self._seen: set[int] = set()
        self._generator = torch.Generator()
        if params.seed is None:
            self._generator.seed()
        else:
            self._generator.manual_seed(params.seed)

    def observe(self, token_ids: Sequence[int]) -> None:
        """Tokens of prompt or completion, which the repetition penalty makes less likely from now on."""
        if self._params.repetition_penalty != 1.0:
            self._seen.update(token_ids)

    def sample(self, logits: torch.Tensor) -> int:
        """The next token by `logits`, one row over the vocabulary. Raises `ValueError` when one is NaN."""
        logits = logits.to("cpu", torch.float64 if logits.dtype == torch.float64 else torch.float32)
        if logits.isnan().any():
            raise ValueError("the model's logits are not numbers")
        logits = self._penalized(logits)
        if self._params.temperature <= 0:
            return int(logits.argmax())
        logits = _top_p(_top_k(logits / self._params.temperature, self._params.top_k), self._params.top_p)
        return int(torch.multinomial(logits.softmax(-1), 1, generator=self._generator))

    def _penalized(self, logits: torch.Tensor) -> torch.Tensor:
        if not self._seen:
            return logits
        seen = torch.tensor(sorted(self._seen))
        penalty = self._params.repetition_penalty
        score = logits[seen]
        return logits.index_copy(0, seen, torch.where(score < 0, score * penalty, score / penalty))


def _top_k(logits: torch.Tensor, k: int) -> torch.Tensor:
    if not 0 < k < len(logits):
        return logits
    return logits.masked_fill(logits < logits.topk(k).values[-1], -torch.inf)


def _top_p(logits: torch.Tensor, p: float) -> torch.Tensor:
    """Keeps the fewest tokens that together have the probability `p`, and always the likeliest."""
    if p >= 1.0:
        return logits
    ordered, ids = logits.sort(descending=True)
    before = ordered.softmax(-1).cumsum(-1).roll(1)
    before[0] = 0.0
    return (
        logits.index_fill(0, ids[before >= p], -torch.inf) if p > 0 else logits.index_fill(0, ids[1:], -torch.inf)
    )
