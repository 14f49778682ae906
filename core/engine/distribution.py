"""Rows of scores in, one token id of each out. Knows neither sequences nor models.

What top-k, top-p and min-p keep is the beginning of a row in the order of likelihood. So a few of its likeliest
tokens are looked at first, and more of them only for rows where these do not settle it; a whole row is sorted only
in the end. The likeliest tokens are found through the maxima of small blocks, which is several times as fast as
PyTorch's own argmax and topk over a vocabulary.

The order is by score and among equal scores by token id, the lower one first. Where a limit of top-p falls between
equal scores, this says which of them are kept. As in transformers, top-k keeps all that are equal to the last.

No row's result depends on the other rows, to the last bit, as there is no sum over a whole row: PyTorch splits the
sum of a lone long row between threads. Rows are added up in blocks, and the blocks in their order.
"""

from collections.abc import Iterator, Sequence
from typing import NamedTuple

import torch
from torch import Tensor
from torch.nn.functional import pad

_BLOCK = 64
_FIRST_WIDTH = 8  # at temperature 0.2 a chat model's nucleus of 0.9 is rarely wider, at 0.7 in three of ten rows
_WIDENING = 8
# Beside the likeliest token's 1. A million tokens of such a weight are less than a uniform number's last bit, and
# exponentials that underflow would cost a hundred times as much as others.
_LIGHTEST = 1e-35
_LOWEST = -81.0  # its logarithm and a bit less
_NUMBERS_AT_ONCE = 2**18  # so what wide rows take for a while is small, and stays in a core's cache


class Scores:
    """Scores [rows, width] in float32 or float64, with the maximum of each block of each row.

    A row is at least as wide as the logits that it was made of; what is beyond them is -inf.
    """

    def __init__(self, values: Tensor) -> None:
        """`values` is what `padded` returned, and must not change while this is used."""
        self.values = values
        self.maxima = _in_blocks(values).amax(-1)
        self.best = self.maxima.amax(-1)
        """The highest score of each row [rows]: NaN where one of its scores is."""

    @property
    def width(self) -> int:
        return self.values.shape[1]


class Limits(NamedTuple):
    """How one row is drawn from. `temperature` is above 0. `top_k` 0, `top_p` 1 and `min_p` 0 leave out nothing.
    `uniform` is a random number from [0, 1)."""

    temperature: float
    top_k: float
    top_p: float
    min_p: float
    uniform: float


def padded(logits: Tensor) -> Tensor:
    """`logits` [rows, vocabulary] as `Scores` takes them: themselves where they fit, else a copy."""
    values = logits.to(torch.float64 if logits.dtype == torch.float64 else torch.float32).contiguous()
    missing = -values.shape[1] % _BLOCK
    return pad(values, (0, missing), value=-torch.inf) if missing else values


def greedy(scores: Scores, rows: Tensor) -> Tensor:
    """The likeliest token of each of the `rows`, the one with the lowest id among equals."""
    block = scores.maxima.index_select(0, rows).argmax(-1)
    within = _blocks(scores, rows, block[:, None]).argmax(-1)
    return block * _BLOCK + within


def likeliest(scores: Scores, rows: Tensor, width: int) -> tuple[Tensor, Tensor]:
    """The scores and ids [rows, width] of the likeliest tokens, in their order. Which ones of those that are equal
    to the last is not defined, unless `width` is the scores' own."""
    if width >= scores.width:
        values, ids = scores.values.index_select(0, rows).sort(dim=-1, descending=True, stable=True)
        return values, ids
    if width * _BLOCK < scores.width:
        block = scores.maxima.index_select(0, rows).topk(width, sorted=False).indices
        values, places = _blocks(scores, rows, block).topk(width, sorted=False)
        ids = (block[:, :, None] * _BLOCK + torch.arange(_BLOCK, device=block.device)).flatten(1).gather(1, places)
    else:
        values, ids = scores.values.index_select(0, rows).topk(width, sorted=False)
    ids, order = ids.sort(dim=-1)
    values, order = values.gather(1, order).sort(dim=-1, descending=True, stable=True)
    return values, ids.gather(1, order)


def log_total(scores: Scores, rows: Tensor) -> Tensor:
    """The logarithm of the sum of each row's exponentials: float64 [rows]. Rows must have a finite maximum."""
    ones = torch.ones(len(rows), dtype=torch.float64, device=rows.device)
    return _totals(scores, rows, ones).log() + scores.best[rows]


def draw(scores: Scores, rows: Tensor, limits: Sequence[Limits]) -> Tensor:
    """A token id for each of the `rows`, from what their limits keep. Rows must have a finite maximum.

    `limits` are those of `rows`, in their order. Temperature comes before top-k, top-p and min-p, as in
    transformers; the mass that top-p is a share of is that of what top-k kept.
    """
    tokens = torch.empty_like(rows)
    table = torch.tensor(limits, dtype=torch.float64, device=rows.device)
    totals = torch.full_like(table[:, 0], torch.inf)  # not known, and known only where it is needed
    places = _places(rows)
    for width in _widths(scores.width):
        unsettled = []
        for part in torch.split(places, max(1, _NUMBERS_AT_ONCE // width)):
            tokens[part], settled = _draw(scores, rows[part], table[part], totals, part, width)
            unsettled.append(part[~settled])
        places = torch.cat(unsettled)
        if not len(places):
            break
    return tokens


def draw_from_all(scores: Scores, rows: Tensor, limits: Sequence[Limits]) -> Tensor:
    """As `draw`, for limits that leave out nothing."""
    table = torch.tensor(limits, dtype=torch.float64, device=rows.device)
    return torch.cat([_draw_from_all(scores, rows[part], table[part]) for part in _parts(scores, rows)])


def _widths(widest: int) -> Iterator[int]:
    width = _FIRST_WIDTH
    while width * _WIDENING < widest:
        yield width
        width *= _WIDENING
    yield widest


def _draw(
    scores: Scores, rows: Tensor, limits: Tensor, totals: Tensor, places: Tensor, width: int
) -> tuple[Tensor, Tensor]:
    """The drawn tokens, and whether the `width` likeliest ones of a row were enough to know them."""
    temperature, top_k, top_p, min_p, uniform = limits.unbind(1)
    values, ids = likeliest(scores, rows, width)
    doubles = values.double()
    weights = _exponential((doubles - doubles[:, :1]).div_(temperature[:, None]))
    ends = weights.cumsum(-1)
    starts = pad(ends[:, :-1], (1, 0))
    is_all = (weights[:, -1] == 0) | (width == scores.width)  # the others weigh nothing, or there are none

    has_kth = (top_k > 0) & (top_k <= width)
    kth = _at(values, top_k.clamp(1, width).long() - 1)
    by_k = torch.where(has_kth, (values >= kth[:, None]).sum(-1), width)
    most = torch.minimum(by_k, (weights >= min_p[:, None]).sum(-1))

    def kept(total: Tensor) -> Tensor:
        share = torch.where(top_p < 1, top_p * total, torch.inf)
        return torch.minimum((starts < share[:, None]).sum(-1), most).clamp_(min=1)

    # The mass that top-p is a share of is between these two, as no token beyond the last weighs more than it.
    least = _at(ends, by_k - 1)
    is_exact = is_all | (has_kth & (kth > values[:, -1]))
    greatest = torch.where(is_exact, least, least + (scores.width - width) * weights[:, -1])
    count = kept(least)
    differs = kept(greatest) != count
    if differs.any():
        computed = differs & (top_k == 0)
        unknown = (computed & totals[places].isinf()).nonzero()[:, 0]
        totals[places[unknown]] = _totals(scores, rows[unknown], temperature[unknown])
        count = torch.where(computed, kept(totals[places]), count)
        differs &= ~computed

    settled = is_all | (~differs & (_at(values, count - 1) > values[:, -1]))
    return _at(ids, _drawn(ends, uniform * _at(ends, count - 1))), settled


def _draw_from_all(scores: Scores, rows: Tensor, limits: Tensor) -> Tensor:
    temperature, *_, uniform = limits.unbind(1)
    weights, ends = _weights(scores, rows, temperature)
    target = uniform * ends[:, -1]
    block = _drawn(ends, target)
    before = _at(pad(ends, (1, 0)), block)
    share = (target - before) / (_at(ends, block) - before)
    within = _in_blocks(weights)[_places(rows), block].double().cumsum(-1)
    return block * _BLOCK + _drawn(within, share * within[:, -1])


def _drawn(ends: Tensor, target: Tensor) -> Tensor:
    """Which of the shares, one after the other up to `ends`, the target falls into. There always is one, with a
    weight above 0: a target is at most 1 - 2^-53 of the last end, and that is less after rounding as well."""
    return (ends <= target[:, None]).sum(-1)


def _totals(scores: Scores, rows: Tensor, temperature: Tensor) -> Tensor:
    return torch.cat([_weights(scores, rows[part], temperature[part])[1][:, -1] for part in _parts(scores, rows)])


def _weights(scores: Scores, rows: Tensor, temperature: Tensor) -> tuple[Tensor, Tensor]:
    """Each token's weight, the likeliest one's being 1, and the cumulated ones of the blocks, in float64."""
    values = scores.values.index_select(0, rows)
    weights = _exponential(values.sub_(scores.best[rows, None]).div_(temperature.to(values.dtype)[:, None]))
    return weights, _in_blocks(weights).sum(-1).double().cumsum(-1)


def _exponential(values: Tensor) -> Tensor:
    """Of values from -inf to 0, in their place."""
    return torch.threshold_(values.clamp_(min=_LOWEST).exp_(), _LIGHTEST, 0.0)


def _parts(scores: Scores, rows: Tensor) -> tuple[Tensor, ...]:
    return torch.split(_places(rows), max(1, _NUMBERS_AT_ONCE // scores.width))


def _places(rows: Tensor) -> Tensor:
    return torch.arange(len(rows), device=rows.device)


def _in_blocks(values: Tensor) -> Tensor:
    return values.view(len(values), values.shape[1] // _BLOCK, _BLOCK)


def _blocks(scores: Scores, rows: Tensor, block: Tensor) -> Tensor:
    """The scores of some blocks of each row: block numbers [rows, n] to values [rows, n * 64]."""
    blocks_of_a_row = scores.width // _BLOCK
    of_all = (rows[:, None] * blocks_of_a_row + block).flatten()
    return scores.values.view(-1, _BLOCK).index_select(0, of_all).view(len(rows), -1)


def _at(table: Tensor, column: Tensor) -> Tensor:
    return table.gather(1, column[:, None])[:, 0]
