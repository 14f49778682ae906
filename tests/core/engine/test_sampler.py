from typing import Any

import pytest
import torch
from transformers import (
    LogitsProcessorList,
    RepetitionPenaltyLogitsProcessor,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

from core.engine.engine import Params
from core.engine.sampler import Sampler

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0], dtype=torch.float64)


def draw(params: Params, many: int = 300, seen: tuple[int, ...] = ()) -> list[int]:
    sampler = Sampler(params)
    sampler.observe(seen)
    return [sampler.sample(LOGITS) for _ in range(many)]


def test_temperature_0_takes_the_likeliest() -> None:
    assert set(draw(Params(temperature=0.0))) == {0}


def test_a_seed_makes_sampling_repeatable() -> None:
    params = Params(temperature=1.5, top_p=1.0, seed=11)
    assert draw(params) == draw(params)
    assert draw(params) != draw(Params(temperature=1.5, top_p=1.0, seed=12))


def test_without_a_seed_two_completions_differ() -> None:
    params = Params(temperature=1.5, top_p=1.0)
    assert draw(params) != draw(params)


def test_top_k_keeps_the_k_likeliest() -> None:
    assert set(draw(Params(temperature=3.0, top_p=1.0, top_k=2, seed=1))) == {0, 1}


@pytest.mark.parametrize(("top_p", "kept"), [(0.0, {0}), (0.5, {0}), (0.6, {0, 1}), (0.9, {0, 1, 2, 3})])
def test_top_p_keeps_the_fewest_that_have_the_probability(top_p: float, kept: set[int]) -> None:
    assert set(draw(Params(temperature=1.0, top_p=top_p, seed=1), many=1000)) == kept


def test_what_was_seen_becomes_less_likely() -> None:
    assert draw(Params(temperature=0.0, repetition_penalty=3.0), seen=(0,), many=1) == [1]
    assert draw(Params(temperature=0.0, repetition_penalty=1.0), seen=(0,), many=1) == [0]


@pytest.mark.parametrize("seed", range(20))
def test_the_distribution_is_transformers_own(seed: int) -> None:
    torch.manual_seed(seed)
    logits = torch.randn(50, dtype=torch.float64) * 3
    seen = torch.randint(0, 50, (10,))
    processors: Any = LogitsProcessorList(
        [
            RepetitionPenaltyLogitsProcessor(1.3),
            TemperatureLogitsWarper(0.8),
            TopKLogitsWarper(20),
            TopPLogitsWarper(0.9),
        ]
    )
    theirs = processors(seen[None], logits[None].clone())[0]
    expected = int(theirs.softmax(-1).multinomial(1, generator=torch.Generator().manual_seed(seed)))
    sampler = Sampler(Params(temperature=0.8, top_k=20, top_p=0.9, repetition_penalty=1.3, seed=seed))
    sampler.observe(seen.tolist())
    assert sampler.sample(logits) == expected


def test_logits_that_are_no_numbers_are_an_error() -> None:
    with pytest.raises(ValueError, match="not numbers"):
        Sampler(Params()).sample(torch.tensor([1.0, float("nan")]))
