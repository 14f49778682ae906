"""Logits in, one token of each row out. Knows the parameters of sequences, but no text and no model.

A sequence's random numbers are made from its seed and the position of the token, so that a completion repeats in
whatever batch it is made, and tokens that are drafted and refused use up nothing.
"""

import math
import secrets
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from hashlib import blake2b

import torch
from torch import Tensor

from core.engine.distribution import Limits, Scores, draw, draw_from_all, greedy, likeliest, log_total, padded
from core.engine.engine import Logprob, Params
from core.engine.history import History

_COLDEST = 1e-30  # where float32 ends; the likeliest token is all that is left long before
_MOST_LOGPROBS = 20
_NOT_NUMBERS = "the model's logits are not numbers"


@dataclass(frozen=True, slots=True)
class Draw:
    """What a row of logits is for: the token at index `position` of the sequence `number`, prompt and completion
    counted together."""

    number: int
    position: int


@dataclass(frozen=True, slots=True)
class Drawn:
    """A chosen token, with its log-probability if the sequence's parameters ask for it."""

    token_id: int
    logprob: Logprob | None


@dataclass(frozen=True, slots=True)
class _Sequence:
    params: Params
    key: bytes

    def limits(self, position: int) -> Limits:
        """With a random number that is always the same for a position."""
        params = self.params
        digest = blake2b(position.to_bytes(8, "little"), key=self.key, digest_size=8).digest()
        uniform = (int.from_bytes(digest, "little") >> 11) * 2.0**-53
        return Limits(max(params.temperature, _COLDEST), params.top_k, params.top_p, params.min_p, uniform)


class Sampler:
    """Chooses the tokens of many sequences at once: repetition penalty, temperature, top-k, top-p and min-p, in
    the order of transformers (`GenerationMixin._get_logits_processor`).

    What a row gives depends on its logits, its sequence and its position alone, never on the rows beside it. With
    the same seed, candidate and logits a position gets the same token.
    """

    def __init__(self, vocabulary: int, *, device: torch.device | str = "cpu") -> None:
        """`vocabulary` is the width of the logits, which are on `device`."""
        self._vocabulary = vocabulary
        self._device = device
        self._sequences: dict[int, _Sequence] = {}
        self._history = History(device)

    def __len__(self) -> int:
        """How many sequences have begun and not ended."""
        return len(self._sequences)

    def begin(self, number: int, params: Params, candidate: int = 0) -> None:
        """A sequence joins. One that is there already begins anew: what was observed of it is forgotten."""
        self.end(number)
        if params.seed is None:
            key = secrets.token_bytes(32)
        else:
            key = blake2b(f"{params.seed} {candidate}".encode(), digest_size=32).digest()
        self._sequences[number] = _Sequence(params, key)
        if params.repetition_penalty != 1.0:
            self._history.add(number)

    def observe(self, number: int, start: int, token_ids: Sequence[int]) -> None:
        """The tokens of a sequence from position `start` on, of its prompt, its completion or a draft. Positions
        may be written again. Only sequences with a repetition penalty need this; for others nothing is done.

        Raises `KeyError` for a sequence that has not begun, and `ValueError` for an id outside the vocabulary or
        when a position before `start` was not observed, since a penalty would then be wrong unnoticed.
        """
        if self._sequences[number].params.repetition_penalty == 1.0 or not token_ids:
            return
        if not 0 <= min(token_ids) <= max(token_ids) < self._vocabulary:
            raise ValueError("a token id is outside the model's vocabulary")
        self._history.write(number, start, token_ids)

    def end(self, number: int) -> None:
        """A sequence leaves. One that is not there is none the worse."""
        self._sequences.pop(number, None)
        if number in self._history:
            self._history.remove(number)

    @torch.inference_mode()
    def sample(self, logits: Tensor, draws: Sequence[Draw]) -> list[Drawn | ValueError]:
        """A token for each row of `logits` [draws, vocabulary], of any floating-point type; computed in float32,
        or in float64 where they are. They may change while this runs, and are as before when it returns.

        A row with NaN in it, or with nothing but -inf, gets a `ValueError` in its place. Where a logit is +inf,
        its token is taken. Equal logits are ordered by token id, the lower one first.

        Raises `KeyError` for a sequence that has not begun, and `ValueError` when the shape is another, or when
        not all tokens before a position were observed for a repetition penalty.
        """
        if logits.shape != (len(draws), self._vocabulary):
            raise ValueError(f"logits of shape {tuple(logits.shape)} for {len(draws)} draws")
        if not draws:
            return []
        sequences = [self._sequences[each.number] for each in draws]
        values = padded(logits)
        with self._penalized(values, draws, sequences):
            scores = Scores(values)
            best = scores.best.tolist()
            tokens = self._tokens(scores, best, draws, sequences)
        logprobs = self._logprobs(values, tokens, sequences)
        return [
            Drawn(tokens[row], logprobs.get(row)) if row in tokens else ValueError(_NOT_NUMBERS)
            for row in range(len(draws))
        ]

    @contextmanager
    def _penalized(self, values: Tensor, draws: Sequence[Draw], sequences: Sequence[_Sequence]) -> Iterator[None]:
        """Makes tokens of the histories less likely for a while. One that occurs twice is written twice, with the
        same value."""
        rows = [row for row, each in enumerate(draws) if each.number in self._history and each.position > 0]
        if not rows:
            yield
            return
        ids = self._history.read([draws[row].number for row in rows], [draws[row].position for row in rows])
        places = (ids + torch.tensor(rows, device=ids.device)[:, None] * values.shape[1]).flatten()
        flat = values.view(-1)
        before = flat[places]
        penalties = [sequences[row].params.repetition_penalty for row in rows]
        penalty = torch.tensor(penalties, dtype=flat.dtype, device=flat.device).repeat_interleave(ids.shape[1])
        flat.scatter_(0, places, torch.where(before < 0, before * penalty, before / penalty))
        yield
        flat.scatter_(0, places, before)

    def _tokens(
        self, scores: Scores, best: Sequence[float], draws: Sequence[Draw], sequences: Sequence[_Sequence]
    ) -> dict[int, int]:
        """The token of each row that has one."""
        certain, limited, unlimited = [], [], []
        for row, (highest, sequence) in enumerate(zip(best, sequences, strict=True)):
            params = sequence.params
            if math.isnan(highest) or highest == -math.inf:
                continue
            if params.temperature <= 0 or highest == math.inf:
                certain.append(row)
            elif params.top_p >= 1 and params.min_p <= 0 and not 0 < params.top_k < self._vocabulary:
                unlimited.append(row)
            else:
                limited.append(row)

        tokens: dict[int, int] = {}
        if certain:
            tokens |= zip(certain, greedy(scores, self._tensor(certain)).tolist(), strict=True)
        for rows, drawing in ((limited, draw), (unlimited, draw_from_all)):
            if rows:
                limits = [sequences[row].limits(draws[row].position) for row in rows]
                tokens |= zip(rows, drawing(scores, self._tensor(rows), limits).tolist(), strict=True)
        return tokens

    def _logprobs(
        self, values: Tensor, tokens: dict[int, int], sequences: Sequence[_Sequence]
    ) -> dict[int, Logprob]:
        """Of the rows that ask, by the model's own distribution. A logit of +inf counts as the largest number."""
        rows = [row for row in tokens if sequences[row].params.logprobs is not None]
        if not rows:
            return {}
        scores = Scores(values.index_select(0, self._tensor(rows)).clamp_(max=torch.finfo(values.dtype).max))
        places = torch.arange(len(rows), device=values.device)
        total = log_total(scores, places)[:, None]
        # as many for every row, so that what a row gets does not depend on what others ask
        top_values, top_ids = likeliest(scores, places, _MOST_LOGPROBS)
        chosen = scores.values[places, self._tensor([tokens[row] for row in rows])][:, None]
        own = (chosen.double() - total).tolist()
        top = (top_values.double() - total).tolist()
        logprobs = {}
        for place, (row, ids) in enumerate(zip(rows, top_ids.tolist(), strict=True)):
            ranked = [(token, value) for token, value in zip(ids, top[place], strict=True) if value > -math.inf]
            wanted = sequences[row].params.logprobs
            logprobs[row] = Logprob(tokens[row], own[place][0], tuple(ranked[:wanted]))
        return logprobs

    def _tensor(self, numbers: Sequence[int]) -> Tensor:
        return torch.tensor(numbers, dtype=torch.int64, device=self._device)
