"""One step in the model's thread: what a batch gives, and what a failure leaves behind."""

from collections.abc import Iterable
from typing import Any

import pytest
import torch

from core.engine.attend import Span
from core.engine.attention import PackedModel, shape_of
from core.engine.engine import Params
from core.engine.keys_values import KeysValues
from core.engine.packed_recurrent import PackedRecurrent
from core.engine.places import Copy, Load, Move, Place, Save, Scrub
from core.engine.recurrent import RecurrentForCausalLM
from core.engine.runner import Outcome, Runner, Sampled
from core.engine.scheduler import Batch, Chunk
from core.engine.state_tensors import StateTensors
from tests.core.engine.architectures import ARCHITECTURES
from tests.core.engine.tiny import llama

GREEDY = Params(temperature=0.0)
SIZES = ((32, 6), (64, 2))
PROMPT = (5, 6, 7, 8, 9, 10, 11, 12, 13)


@pytest.fixture
def memory(model: PackedModel) -> KeysValues:
    return model.memory


@pytest.fixture
def model() -> PackedModel:
    source = llama(40)
    shape = shape_of(source)
    return PackedModel(source, KeysValues(shape, SIZES, blocks=8, block=4, dtype=torch.float64))


@pytest.fixture
def runner(model: PackedModel) -> Runner:
    return Runner(model)


@pytest.fixture
def recurrent() -> PackedRecurrent:
    model = ARCHITECTURES["recurrent"](40, 64)
    assert isinstance(model, RecurrentForCausalLM)
    return PackedRecurrent(model, StateTensors(model.state_shape, slots=8, blocks=4, dtype=torch.float64))


def chunk(
    number: int,
    *token_ids: int,
    at: int = 0,
    slot: int | None = None,
    size: int = 0,
    samples: int = 1,
    prefix: tuple[int, ...] = (),
    params: Params = GREEDY,
) -> Chunk:
    place = Place(size, number if slot is None else slot)
    return Chunk(number, place, at, token_ids, samples, params, prefix=prefix)


def run(runner: Runner, *chunks: Chunk, copies: Iterable[Copy] = (), freed: tuple[int, ...] = ()) -> list[Outcome]:
    return runner.run(Batch(tuple(copies), chunks, freed))


def token_of(outcome: Outcome) -> int:
    assert isinstance(outcome, Sampled)
    [token_id] = outcome.token_ids
    return token_id


def continuation(runner: Runner, length: int) -> list[int]:
    """What follows `PROMPT`, one token a step."""
    said = [token_of(run(runner, chunk(5, *PROMPT))[0])]
    while len(said) < length:
        said.append(token_of(run(runner, chunk(5, said[-1], at=len(PROMPT) + len(said) - 1))[0]))
    return said


def test_a_prompt_in_chunks_gives_the_token_of_the_whole(runner: Runner) -> None:
    [whole] = run(runner, chunk(1, *PROMPT))
    assert run(runner, chunk(2, *PROMPT[:4], samples=0)) == [None]
    assert run(runner, chunk(2, *PROMPT[4:], at=4)) == [whole]


def test_a_block_and_a_larger_slot_hold_what_was_read(runner: Runner) -> None:
    said = continuation(runner, 3)
    place, other, large = Place(0, 5), Place(0, 0), Place(1, 1)
    run(runner, copies=[Save(place, 0, 4, 3), Save(place, 4, 4, 6)])
    loads = [Load(3, other, 0, 4), Load(6, other, 4, 4)]
    [first] = run(runner, chunk(0, PROMPT[8], at=8, prefix=PROMPT[:8]), copies=loads)
    assert token_of(first) == said[0]
    [second] = run(runner, chunk(0, said[0], at=9, slot=1, size=1), copies=[Move(other, large, 9)])
    assert token_of(second) == said[1]


def test_neighbours_with_a_hole_between_them_and_far_ones_get_what_they_get_alone(runner: Runner) -> None:
    said = continuation(runner, 2)
    for slot in (0, 2, 3):
        run(runner, chunk(slot, *PROMPT))
    run(runner, chunk(7, *PROMPT, slot=0, size=1))
    decoded = [chunk(slot, said[0], at=9) for slot in (3, 0, 2)]
    outcomes = run(runner, *decoded, chunk(7, said[0], at=9, slot=0, size=1), chunk(4, *PROMPT))
    assert [token_of(outcome) for outcome in outcomes] == [said[1]] * 4 + [said[0]]


def test_a_step_writes_nothing_into_the_hole(runner: Runner, memory: KeysValues) -> None:
    for slot in (0, 1, 2):
        run(runner, chunk(slot, *PROMPT))
    before = memory.keys[0][:, 1].clone(), memory.values[0][:, 1].clone()
    run(runner, chunk(0, 1, at=9), chunk(2, 1, at=9))
    assert torch.equal(memory.keys[0][:, 1], before[0])
    assert torch.equal(memory.values[0][:, 1], before[1])


def test_drafts_count_up_to_the_first_wrong_one(runner: Runner) -> None:
    said = continuation(runner, 5)
    run(runner, chunk(1, *PROMPT))
    right = run(runner, chunk(1, *said[:4], at=9, samples=4))
    assert isinstance(right[0], Sampled)
    assert right[0].token_ids == tuple(said[1:])
    wrong = (said[2] + 1) % 40
    run(runner, chunk(2, *PROMPT))
    [half] = run(runner, chunk(2, said[0], said[1], wrong, said[3], at=9, samples=4))
    assert isinstance(half, Sampled)
    assert half.token_ids == tuple(said[1:3])
    [after] = run(runner, chunk(2, said[2], at=11))
    assert token_of(after) == said[3], "what was guessed wrong leaves nothing"


def test_a_penalty_knows_the_tokens_that_the_cache_knew(runner: Runner) -> None:
    params = Params(temperature=0.0, repetition_penalty=50.0)
    [whole] = run(runner, chunk(1, *PROMPT, params=params))
    run(runner, copies=[Save(Place(0, 1), 0, 4, 0), Save(Place(0, 1), 4, 4, 1)])
    loads = [Load(0, Place(0, 2), 0, 4), Load(1, Place(0, 2), 4, 4)]
    cached = chunk(2, PROMPT[8], at=8, prefix=PROMPT[:8], params=params)
    assert run(runner, cached, copies=loads) == [whole]
    assert token_of(whole) not in PROMPT


def test_one_that_fails_ends_alone_and_leaves_nothing_that_spreads(runner: Runner, memory: KeysValues) -> None:
    said = continuation(runner, 2)
    run(runner, chunk(1, *PROMPT), chunk(2, *PROMPT))
    memory.values[0][:, 2, :, :10] = torch.nan
    alone, failed, unknown = run(runner, chunk(1, said[0], at=9), chunk(2, said[0], at=9), chunk(3, 99_999))
    assert token_of(alone) == said[1]
    assert isinstance(failed, ValueError)
    assert isinstance(unknown, IndexError)
    [next_owner] = run(runner, chunk(4, *PROMPT, slot=2), copies=[Scrub(Place(0, 2), 10)])
    assert token_of(next_owner) == said[0]
    [neighbour] = run(runner, chunk(4, said[0], at=9, slot=2))
    assert token_of(neighbour) == said[1]


def test_who_has_left_is_forgotten(runner: Runner) -> None:
    run(runner, chunk(1, 5), chunk(2, 6))
    assert len(runner) == 2
    run(runner, freed=(1, 7))
    assert len(runner) == 1


def test_a_state_is_what_was_read_in_any_chunks_from_a_block_and_beside_others(recurrent: PackedRecurrent) -> None:
    runner = Runner(recurrent)
    said = continuation(runner, 3)
    assert run(runner, chunk(1, *PROMPT[:4], samples=0)) == [None]
    [half] = run(runner, chunk(1, *PROMPT[4:], at=4), chunk(3, 1, 2, 3))[:1]
    assert token_of(half) == said[0]
    other = chunk(2, said[0], at=9, prefix=PROMPT)
    outcomes = run(
        runner,
        chunk(1, said[0], at=9),
        chunk(4, 7),
        other,
        chunk(6, *PROMPT),
        copies=[Save(Place(0, 1), 0, 9, 3), Load(3, Place(0, 2), 0, 9)],
    )
    assert [token_of(outcomes[i]) for i in (0, 2, 3)] == [said[1], said[1], said[0]]


def test_a_step_that_fails_behind_the_forward_pass_is_tried_again_from_the_state_before_it(
    recurrent: PackedRecurrent,
) -> None:
    said = continuation(Runner(recurrent), 3)
    failures = iter([False, False, True, False, False])

    class Failing(PackedRecurrent):
        def forward(self, *step: Any) -> torch.Tensor:
            logits = super().forward(*step)
            if next(failures):
                raise RuntimeError("out of memory")
            return logits

    runner = Runner(Failing(recurrent.model, recurrent.memory))
    run(runner, chunk(1, *PROMPT), chunk(2, *PROMPT[:3]))
    run(runner, chunk(1, said[0], at=9), chunk(2, *PROMPT[3:], at=3))
    decoded, read = run(runner, chunk(1, said[1], at=10), chunk(2, said[0], at=9))
    assert (token_of(decoded), token_of(read)) == (said[2], said[1])


def test_a_state_of_no_numbers_is_scrubbed(recurrent: PackedRecurrent) -> None:
    runner = Runner(recurrent)
    recurrent.model.embedding.weight.data[0] = torch.nan
    said = continuation(runner, 2)
    failed, alone = run(runner, chunk(1, 0, 5), chunk(2, *PROMPT))
    assert isinstance(failed, ValueError)
    assert token_of(alone) == said[0]
    run(runner, copies=[Scrub(Place(0, 1), 2)])
    [next_owner] = run(runner, chunk(3, *PROMPT, slot=1))
    assert token_of(next_owner) == said[0]
    assert all(torch.isfinite(tensor).all() for tensor in (recurrent.memory.before([Span(Place(0, 1), 0, 9, 1)]),))
