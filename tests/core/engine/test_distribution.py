import itertools
from collections.abc import Iterator, Sequence
from typing import Any

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from torch import Tensor
from transformers import (
    LogitsProcessorList,
    MinPLogitsWarper,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from core.engine.distribution import Limits, Scores, draw, draw_from_all, greedy, likeliest, log_total, padded

TEMPERATURES = (0.05, 0.2, 0.7, 1.0, 1.5, 4.0)
TOP_KS = (0, 1, 7, 8, 60, 600)
TOP_PS = (0.0, 0.3, 0.9, 0.99, 1.0)
MIN_PS = (0.0, 0.01, 0.4)


def limits(
    temperature: float, top_k: int = 0, top_p: float = 1.0, min_p: float = 0.0, uniform: float = 0.5
) -> Limits:
    return Limits(temperature, top_k, top_p, min_p, uniform)


def everything(scores: Scores) -> Tensor:
    return torch.arange(len(scores.values))


def transformers_own(logits: Tensor, limit: Limits) -> Tensor:
    """The probabilities [vocabulary] after transformers' processors, put together as its `generate` does."""
    processors: Any = LogitsProcessorList([TemperatureLogitsWarper(limit.temperature)])
    if limit.top_k:
        processors.append(TopKLogitsWarper(int(limit.top_k)))
    if limit.top_p < 1:
        processors.append(TopPLogitsWarper(limit.top_p))
    if limit.min_p:
        processors.append(MinPLogitsWarper(limit.min_p))
    probabilities: Tensor = processors(torch.zeros(1, 1, dtype=torch.long), logits[None].clone())[0].softmax(-1)
    return probabilities


def in_the_middle(logits: Tensor, limit: Limits, middles: Sequence[float], *, of_all: bool = False) -> list[int]:
    """What is drawn with each of the uniform numbers, in one batch."""
    scores = Scores(padded(logits.expand(len(middles), -1)))
    each = [limit._replace(uniform=middle) for middle in middles]
    return (draw_from_all if of_all else draw)(scores, everything(scores), each).tolist()


def some(many: int, count: int) -> list[int]:
    return sorted({*range(min(count, many)), *torch.linspace(0, many - 1, count).long().tolist()})


@pytest.mark.parametrize("vocabulary", [5, 64, 300, 5000])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_each_kept_token_has_the_share_that_transformers_gives_it(vocabulary: int, temperature: float) -> None:
    logits = torch.randn(vocabulary, dtype=torch.float64, generator=torch.Generator().manual_seed(vocabulary)) * 3
    for top_k, top_p, min_p in itertools.product(TOP_KS, TOP_PS, MIN_PS):
        limit = limits(temperature, top_k, top_p, min_p)
        shares, ids = transformers_own(logits, limit).sort(descending=True, stable=True)
        ends = shares.cumsum(-1)
        # beyond that the middle of a share cannot be told from its edge
        kept = some(int((shares > 1e-9).sum()), 12)
        drawn = in_the_middle(logits, limit, [float(ends[place] - shares[place] / 2) for place in kept])
        assert drawn == ids[kept].tolist(), limit
        last = int((shares > 0).sum()) - 1
        if shares[last] > 1e-9:
            assert in_the_middle(logits, limit, [1 - 2**-53]) == [int(ids[last])], limit


@pytest.mark.parametrize("vocabulary", [5, 64, 300, 5000])
@pytest.mark.parametrize("temperature", TEMPERATURES)
def test_without_limits_tokens_share_in_the_order_of_their_ids(vocabulary: int, temperature: float) -> None:
    logits = torch.randn(vocabulary, dtype=torch.float64, generator=torch.Generator().manual_seed(vocabulary)) * 3
    shares = (logits / temperature).softmax(-1)
    ends = shares.cumsum(-1)
    likely = (shares > 1e-9).nonzero()[:, 0].tolist()[:200]
    drawn = in_the_middle(
        logits, limits(temperature), [float(ends[token] - shares[token] / 2) for token in likely], of_all=True
    )
    assert drawn == likely


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.sampled_from([-2.0, 0.0, 0.5, 1.0, 3.0]), min_size=2, max_size=200),
    st.sampled_from(TEMPERATURES),
    st.sampled_from(TOP_KS),
    st.sampled_from(TOP_PS),
    st.sampled_from(MIN_PS),
)
def test_among_equal_scores_the_lower_ids_are_kept(
    row: list[float], temperature: float, top_k: int, top_p: float, min_p: float
) -> None:
    logits = torch.tensor(row, dtype=torch.float64)
    limit = limits(temperature, top_k, top_p, min_p)
    reached = (logits / temperature).softmax(-1).sort(descending=True).values.cumsum(-1)
    assume(float((reached - top_p).abs().min()) > 1e-9)  # there, rounding decides how many are kept
    many = int((transformers_own(logits, limit) > 0).sum())  # which ones of them is not defined there
    expected = logits.sort(descending=True, stable=True).indices[:many]
    shares = (logits[expected] / temperature).softmax(-1)
    middles = (shares.cumsum(-1) - shares / 2)[shares > 1e-9].tolist()
    assert in_the_middle(logits, limit, middles) == expected[: len(middles)].tolist()


@pytest.mark.parametrize(("top_p", "kept"), [(0.2, 1), (0.25, 1), (0.3, 2), (0.5, 2), (0.75, 3), (0.8, 4)])
def test_a_share_that_is_reached_exactly_is_enough(top_p: float, kept: int) -> None:
    logits = torch.zeros(4, dtype=torch.float64)
    assert int((transformers_own(logits, limits(1.0, top_p=top_p)) > 0).sum()) == kept
    assert in_the_middle(logits, limits(1.0, top_p=top_p), [0.0, 1 - 2**-53]) == [0, kept - 1]


def test_top_p_is_a_share_of_all_that_are_equal_to_the_last_of_top_k() -> None:
    logits = torch.full((600,), -9.0, dtype=torch.float64)
    logits[100], logits[200:240] = 3.0, 0.0
    limit = limits(1.0, top_k=5, top_p=0.4)
    assert int((transformers_own(logits, limit) > 0).sum()) == 5
    assert in_the_middle(logits, limit, [0.0, 1 - 2**-53]) == [100, 203]


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 3000), st.integers(0, 2**32), st.booleans())
def test_the_likeliest_are_those_of_a_whole_sort(vocabulary: int, seed: int, coarse: bool) -> None:
    logits = torch.randn(3, vocabulary, generator=torch.Generator().manual_seed(seed))
    logits = (logits * 2).round() if coarse else logits
    scores = Scores(padded(logits))
    ordered, order = scores.values.sort(descending=True, stable=True)
    assert greedy(scores, everything(scores)).tolist() == logits.argmax(-1).tolist()
    for width in (1, 8, 30, scores.width):
        values, ids = likeliest(scores, everything(scores), width)
        assert torch.equal(values, ordered[:, :width])
        assert torch.equal(scores.values.gather(1, ids), values)
        above_the_last = values > values[:, -1:]
        assert torch.equal(ids[above_the_last], order[:, :width][above_the_last])


def test_minus_infinity_is_never_drawn() -> None:
    logits = torch.full((1, 700), -torch.inf)
    logits[0, [3, 64, 699]] = torch.tensor([1.0, 2.0, 1.5])
    scores = Scores(padded(logits))
    for uniform, temperature in itertools.product((0.0, 0.4, 0.8, 1 - 2**-53), (1e-30, 1e-6, 1.0, 100.0)):
        limit = limits(temperature, uniform=uniform)
        assert draw_from_all(scores, everything(scores), [limit]).item() in (3, 64, 699)
        for limited in (limit._replace(top_k=50), limit._replace(top_p=0.99), limit._replace(min_p=1e-9)):
            assert draw(scores, everything(scores), [limited]).item() in (3, 64, 699)


def test_the_coldest_temperature_takes_the_likeliest_and_the_hottest_any() -> None:
    logits = torch.tensor([[3.0, 1.0, 3.5, -3e38, 3e38, 2.0]])
    scores = Scores(padded(logits))
    for uniform in (0.0, 0.3, 0.999999):
        for drawn in (draw, draw_from_all):
            assert drawn(scores, everything(scores), [limits(1e-30, uniform=uniform)]).item() == 4
    warm = Scores(padded(logits[:, :3]))
    tokens = {int(draw_from_all(warm, everything(warm), [limits(1e30, uniform=u)])) for u in (0.1, 0.5, 0.9)}
    assert tokens == {0, 1, 2}


@pytest.fixture(params=[1, 2, 3])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("vocabulary", [49_152, 50_257])
def test_a_row_gives_the_same_bits_alone_and_among_others(
    threads: int, dtype: torch.dtype, vocabulary: int
) -> None:
    generator = torch.Generator().manual_seed(threads)
    logits = torch.randn(9, vocabulary, dtype=dtype, generator=generator) * torch.linspace(0.5, 4, 9)[:, None]
    together = Scores(padded(logits))
    rows = everything(together)
    totals = log_total(together, rows)
    each = [
        limits(temperature, top_k, top_p, min_p, uniform)
        for temperature, top_k, top_p, min_p, uniform in zip(
            itertools.cycle(TEMPERATURES),
            itertools.cycle(TOP_KS),
            itertools.cycle(TOP_PS),
            itertools.cycle(MIN_PS),
            torch.rand(9, dtype=torch.float64, generator=generator).tolist(),
            strict=False,
        )
    ]
    tokens, unlimited = draw(together, rows, each), draw_from_all(together, rows, each)
    for row in range(9):
        alone = Scores(padded(logits[row : row + 1].clone()))
        only = torch.tensor([0])
        assert torch.equal(log_total(alone, only), totals[row : row + 1])
        assert draw(alone, only, each[row : row + 1]).tolist() == [int(tokens[row])]
        assert draw_from_all(alone, only, each[row : row + 1]).tolist() == [int(unlimited[row])]
        assert greedy(alone, only).tolist() == [int(greedy(together, rows)[row])]
    backwards = rows.flip(0)
    assert torch.equal(draw(together, backwards, each[::-1]), tokens.flip(0))


def test_the_total_is_that_of_the_softmax() -> None:
    logits = torch.randn(4, 5000, dtype=torch.float64, generator=torch.Generator().manual_seed(1)) * 5 + 40
    scores = Scores(padded(logits))
    assert torch.allclose(log_total(scores, everything(scores)), logits.logsumexp(-1), rtol=1e-12)
