import itertools
import math
from collections.abc import Iterator, Sequence

import pytest
import torch
from torch import Tensor
from transformers import RepetitionPenaltyLogitsProcessor

from core.engine.engine import Params
from core.engine.sampler import Draw, Drawn, Sampler

LOGITS = torch.tensor([2.0, 1.0, 0.5, 0.0, -1.0, -3.0], dtype=torch.float64)
GREEDY = Params(temperature=0.0)
ANY = Params(temperature=1.0, top_p=1.0)


def row_of(drawn: Drawn | ValueError) -> Drawn:
    assert isinstance(drawn, Drawn)
    return drawn


def tokens(sampler: Sampler, logits: Tensor, draws: Sequence[Draw]) -> list[int]:
    return [row_of(drawn).token_id for drawn in sampler.sample(logits, draws)]


def completion(params: Params, many: int = 300, seen: Sequence[int] = (), candidate: int = 0) -> list[int]:
    """As if each position after those seen had the same logits."""
    sampler = Sampler(len(LOGITS))
    sampler.begin(7, params, candidate)
    sampler.observe(7, 0, seen)
    made: list[int] = []
    for position in range(len(seen), len(seen) + many):
        made += tokens(sampler, LOGITS[None].clone(), [Draw(7, position)])
        sampler.observe(7, position, made[-1:])
    return made


def test_temperature_0_takes_the_likeliest() -> None:
    assert set(completion(GREEDY)) == {0}


def test_a_seed_makes_sampling_repeatable() -> None:
    params = Params(temperature=1.5, top_p=1.0, seed=11)
    assert completion(params) == completion(params)
    assert completion(params) != completion(Params(temperature=1.5, top_p=1.0, seed=12))


def test_candidates_of_one_seed_differ_and_repeat() -> None:
    params = Params(temperature=1.5, top_p=1.0, seed=-(2**70), candidates=2)
    first, second = completion(params), completion(params, candidate=1)
    assert first != second
    assert second == completion(params, candidate=1)


def test_without_a_seed_two_completions_differ() -> None:
    assert completion(ANY) != completion(ANY)


def test_top_k_keeps_the_k_likeliest() -> None:
    assert set(completion(Params(temperature=3.0, top_p=1.0, top_k=2, seed=1))) == {0, 1}


@pytest.mark.parametrize(("top_p", "kept"), [(0.0, {0}), (0.5, {0}), (0.6, {0, 1}), (0.9, {0, 1, 2, 3})])
def test_top_p_keeps_the_fewest_that_have_the_probability(top_p: float, kept: set[int]) -> None:
    assert set(completion(Params(temperature=1.0, top_p=top_p, seed=1), many=600)) == kept


def test_min_p_keeps_what_has_that_share_of_the_likeliest() -> None:
    params = Params(temperature=1.0, top_p=1.0, min_p=0.2, seed=1)
    assert set(completion(params, many=600)) == {0, 1, 2}


def chi_squared(drawn: Sequence[int], shares: Tensor) -> float:
    """How far frequencies are from shares, in standard deviations of the statistic."""
    expected = shares * len(drawn)
    observed = torch.bincount(torch.tensor(drawn), minlength=len(shares))
    assert not observed[shares == 0].any()
    possible = shares > 0
    statistic = float(((observed - expected)[possible] ** 2 / expected[possible]).sum())
    freedom = int(possible.sum()) - 1
    return (statistic - freedom) / math.sqrt(2 * freedom)


@pytest.mark.parametrize(
    "params", [ANY, Params(temperature=1.0, top_p=0.95), Params(temperature=1.0, top_p=1.0, top_k=15)]
)
def test_frequencies_are_the_probabilities(params: Params) -> None:
    logits = torch.linspace(2, -2, 40, dtype=torch.float64)[
        torch.randperm(40, generator=torch.Generator().manual_seed(3))
    ]
    shares, ids = logits.softmax(-1).sort(descending=True)
    dropped = (shares.cumsum(-1) - shares >= params.top_p) | (torch.arange(40) >= (params.top_k or 40))
    kept = torch.zeros_like(shares).scatter(0, ids, shares.masked_fill(dropped, 0.0))
    drawn = []
    for seed in range(4):
        sampler = Sampler(40)
        sampler.begin(0, Params(temperature=1.0, top_p=params.top_p, top_k=params.top_k, seed=seed))
        drawn += tokens(sampler, logits.repeat(5000, 1), [Draw(0, position) for position in range(5000)])
    assert chi_squared(drawn, kept / kept.sum()) < 4
    assert chi_squared(drawn, (kept**1.2) / (kept**1.2).sum()) > 10  # a slightly wrong temperature is noticed


@pytest.mark.parametrize("penalty", [0.5, 1.1, 3.0])
@pytest.mark.parametrize("vocabulary", [37, 640])
def test_the_penalty_is_transformers_own(penalty: float, vocabulary: int) -> None:
    generator = torch.Generator().manual_seed(vocabulary)
    processor = RepetitionPenaltyLogitsProcessor(penalty)
    sampler = Sampler(vocabulary)
    logits = torch.randn(20, vocabulary, generator=generator)
    logits[::2] -= 8
    expected = []
    for number in range(20):
        seen = torch.randint(0, vocabulary, (1 + 40 * number,), generator=generator)
        expected.append(int(processor(seen[None], logits[number : number + 1].clone()).argmax()))
        sampler.begin(number, Params(temperature=0.0, repetition_penalty=penalty))
        sampler.observe(number, 0, seen.tolist())
    draws = [Draw(number, 1 + 40 * number) for number in range(20)]
    before = logits.clone()
    assert tokens(sampler, logits, draws) == expected
    assert torch.equal(logits, before)
    assert tokens(sampler, logits.flip(0), draws[::-1]) == expected[::-1]


def test_each_row_of_a_draft_knows_the_tokens_before_it_alone() -> None:
    sampler = Sampler(6)
    sampler.begin(1, Params(temperature=0.0, repetition_penalty=100.0))
    sampler.observe(1, 0, [5])
    sampler.observe(1, 1, [0, 1, 2])
    draws = [Draw(1, position) for position in (1, 2, 3, 4)]
    assert tokens(sampler, (LOGITS + 4).repeat(4, 1), draws) == [0, 1, 2, 3]


def test_a_refused_draft_leaves_nothing() -> None:
    params = Params(temperature=1.0, repetition_penalty=2.0, seed=5)
    straight, drafted = Sampler(6), Sampler(6)
    for sampler in (straight, drafted):
        sampler.begin(1, params)
        sampler.observe(1, 0, [4, 5])
    for position in range(2, 40):
        [token] = tokens(straight, LOGITS[None].clone(), [Draw(1, position)])
        straight.observe(1, position, [token])
        drafted.observe(1, position, [(token + 1) % 6, 2, 3])
        rows = tokens(drafted, LOGITS.repeat(3, 1), [Draw(1, position + ahead) for ahead in range(3)])
        assert rows[0] == token
        drafted.observe(1, position, [token])


@pytest.fixture(params=[1, 2])
def threads(request: pytest.FixtureRequest) -> Iterator[int]:
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


MIXED = [
    Params(temperature=t, top_p=p, top_k=k, min_p=m, repetition_penalty=r, logprobs=n, seed=9)
    for t, p, k, m, r, n in zip(
        itertools.cycle((0.0, 0.2, 0.7, 1.0, 2.0)),
        itertools.cycle((0.9, 1.0, 0.99)),
        itertools.cycle((0, 0, 0, 40)),
        itertools.cycle((0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.1)),
        itertools.cycle((1.0, 1.1)),
        [None, 0, 5, 20] * 8,
        strict=False,
    )
]


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_a_row_gets_the_same_in_any_batch(threads: int, dtype: torch.dtype) -> None:
    generator = torch.Generator().manual_seed(threads)
    logits = (torch.randn(32, 20_000, generator=generator) * 3).to(dtype)
    prompts = torch.randint(0, 20_000, (32, 50), generator=generator).tolist()
    draws = [Draw(number, 20 + number % 30) for number in range(32)]

    def begun(numbers: Sequence[int]) -> Sampler:
        sampler = Sampler(20_000)
        for number in numbers:
            sampler.begin(number, MIXED[number], candidate=number % 3)
            sampler.observe(number, 0, prompts[number])
        return sampler

    together = begun(range(32)).sample(logits, draws)
    for number in range(32):
        assert begun([number]).sample(logits[number : number + 1], [draws[number]]) == [together[number]]
    half = torch.randperm(32, generator=generator)[:16].tolist()
    assert begun(range(32)).sample(logits[half], [draws[row] for row in half]) == [together[row] for row in half]


def test_a_row_without_numbers_fails_alone() -> None:
    sampler = Sampler(6)
    for number, params in enumerate((GREEDY, ANY, Params(top_p=0.5, logprobs=2, repetition_penalty=1.5)) * 3):
        sampler.begin(number, params)
        sampler.observe(number, 0, [0])
    logits = LOGITS.repeat(9, 1)
    logits[3:6, 4] = math.nan
    logits[6:9] = -math.inf
    drawn = sampler.sample(logits, [Draw(number, 1) for number in range(9)])
    assert all(isinstance(each, Drawn) for each in drawn[:3])
    assert [str(each) for each in drawn[3:]] == ["the model's logits are not numbers"] * 6
    assert {type(each) for each in drawn[3:]} == {ValueError}


@pytest.mark.parametrize("params", [GREEDY, ANY, Params(top_p=0.5, repetition_penalty=2.0)])
def test_an_infinite_logit_is_taken(params: Params) -> None:
    sampler = Sampler(6)
    sampler.begin(1, Params(temperature=params.temperature, top_p=params.top_p, logprobs=2))
    logits = LOGITS[None].clone()
    logits[0, 4] = math.inf
    [drawn] = sampler.sample(logits, [Draw(1, 0)])
    logprob = row_of(drawn).logprob
    assert logprob is not None
    assert (logprob.token_id, logprob.logprob) == (4, 0.0)
    assert logprob.top[0] == (4, 0.0)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float32, torch.float64])
def test_logits_of_any_floating_point_type_are_taken(dtype: torch.dtype) -> None:
    sampler = Sampler(300)
    logits = torch.randn(3, 300, generator=torch.Generator().manual_seed(1)).to(dtype)
    for number, params in enumerate((GREEDY, Params(seed=3), Params(temperature=1.0, top_p=1.0, seed=3))):
        sampler.begin(number, params)
    drawn = tokens(sampler, logits, [Draw(number, 5) for number in range(3)])
    assert drawn == tokens(sampler, logits.double(), [Draw(number, 5) for number in range(3)])
    assert drawn[0] == int(logits[0].argmax())


def test_logits_that_are_a_view_of_others_are_taken() -> None:
    hidden = torch.randn(128, 8, generator=torch.Generator().manual_seed(1))
    sampler = Sampler(128)
    sampler.begin(1, Params(temperature=0.0, repetition_penalty=50.0))
    likely = hidden[:, 3].sort(descending=True).indices.tolist()
    sampler.observe(1, 0, likely[:2])
    assert tokens(sampler, hidden.t()[3:4], [Draw(1, 2)]) == [likely[2]]


def test_logprobs_are_of_the_untouched_distribution() -> None:
    logits = torch.randn(4, 900, generator=torch.Generator().manual_seed(1)) * 2
    theirs = logits.double().log_softmax(-1)
    sampler = Sampler(900)
    for number, wanted in enumerate((None, 0, 3, 20)):
        sampler.begin(number, Params(temperature=1.8, top_k=40, repetition_penalty=1.7, seed=2, logprobs=wanted))
        sampler.observe(number, 0, logits[number].topk(9).indices.tolist())
    drawn = [row_of(each) for each in sampler.sample(logits, [Draw(number, 9) for number in range(4)])]
    assert drawn[0].logprob is None
    for number, wanted in ((1, 0), (2, 3), (3, 20)):
        logprob = drawn[number].logprob
        assert logprob is not None
        assert logprob.token_id == drawn[number].token_id
        assert logprob.logprob == pytest.approx(float(theirs[number, logprob.token_id]), abs=1e-5)
        likeliest = theirs[number].topk(wanted)
        assert [token for token, _ in logprob.top] == likeliest.indices.tolist()
        assert [value for _, value in logprob.top] == pytest.approx(likeliest.values.tolist(), abs=1e-5)


def test_impossible_tokens_are_not_among_the_likeliest() -> None:
    sampler = Sampler(6)
    sampler.begin(1, Params(temperature=0.0, logprobs=20))
    logits = torch.tensor([[-math.inf, 1.0, -math.inf, 2.0, -math.inf, -math.inf]])
    logprob = row_of(sampler.sample(logits, [Draw(1, 0)])[0]).logprob
    assert logprob is not None
    assert [token for token, _ in logprob.top] == [3, 1]


def test_a_sequence_that_begins_again_knows_nothing_of_before() -> None:
    sampler = Sampler(6)
    params = Params(temperature=0.0, repetition_penalty=100.0)
    sampler.begin(1, params)
    sampler.observe(1, 0, [0, 1])
    sampler.begin(1, params)
    sampler.observe(1, 0, [3])
    assert tokens(sampler, LOGITS[None].clone(), [Draw(1, 1)]) == [0]
    sampler.begin(1, GREEDY)
    sampler.observe(1, 17, [0])  # nothing is remembered for it, so nothing is missing
    assert tokens(sampler, LOGITS[None].clone(), [Draw(1, 30)]) == [0]


def test_what_has_ended_leaves_nothing() -> None:
    sampler = Sampler(6)
    sampler.begin(1, Params(repetition_penalty=2.0))
    sampler.begin(2, GREEDY)
    assert len(sampler) == 2
    for number in (1, 2, 2, 3):
        sampler.end(number)
    assert len(sampler) == 0
    with pytest.raises(KeyError):
        sampler.sample(LOGITS[None], [Draw(1, 0)])
    with pytest.raises(KeyError):
        sampler.observe(1, 0, [0])


def test_tokens_that_a_penalty_would_miss_are_an_error() -> None:
    sampler = Sampler(6)
    sampler.begin(1, Params(repetition_penalty=2.0))
    sampler.observe(1, 0, [0, 1])
    with pytest.raises(ValueError, match="after 2 of the sequence"):
        sampler.observe(1, 3, [0])
    with pytest.raises(ValueError, match="3 tokens of a sequence are needed and 2 are known"):
        sampler.sample(LOGITS[None], [Draw(1, 3)])
    for outside in (-1, 6):
        with pytest.raises(ValueError, match="outside the model's vocabulary"):
            sampler.observe(1, 2, [outside])


def test_logits_of_another_shape_are_an_error() -> None:
    sampler = Sampler(6)
    sampler.begin(1, GREEDY)
    assert sampler.sample(torch.empty(0, 6), []) == []
    for logits, draws in ((LOGITS, [Draw(1, 0)]), (LOGITS[None], []), (LOGITS[None, :5], [Draw(1, 0)])):
        with pytest.raises(ValueError, match="logits of shape"):
            sampler.sample(logits, draws)
