"""int8: near the float model, and the same bits for a row whoever is beside it."""

import asyncio
import copy
from typing import Any

import pytest
import torch
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedModel
from transformers.pytorch_utils import Conv1D

from core.engine.attend import Span
from core.engine.attention import PackedModel, shape_of
from core.engine.engine import Params
from core.engine.int8 import Int8Linear, pack_linear_layers
from core.engine.keys_values import KeysValues
from core.engine.llama import Int8Llama, fits
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.places import Place
from core.engine.runner import Model
from core.engine.scheduler import SchedulerSettings
from tests.core.engine.architectures import ARCHITECTURES
from tests.core.engine.test_local import question
from tests.core.engine.tiny import ask, byte_level, running

VOCABULARY = 96
CONTEXT = 128
PROMPT = tuple(range(3, 43))


def memory(model: PreTrainedModel) -> KeysValues:
    return KeysValues(shape_of(model), ((CONTEXT, 8),), blocks=1, block=4, dtype=torch.float32)


def logits(model: Model, *prompts: tuple[int, ...]) -> torch.Tensor:
    """Of each prompt's last token, the prompts side by side in one step."""
    spans, row = [], 0
    for slot, prompt in enumerate(prompts):
        spans.append(Span(Place(0, slot), row, 0, len(prompt)))
        row += len(prompt)
    ids = torch.tensor([token_id for prompt in prompts for token_id in prompt])
    positions = torch.cat([torch.arange(len(prompt)) for prompt in prompts])
    last = torch.tensor([span.row + span.length - 1 for span in spans])
    with torch.inference_mode():
        return model.forward(ids, positions, spans, last).clone()


def in_float32(name: str, vocabulary: int, context: int) -> PreTrainedModel:
    model: Any = ARCHITECTURES[name](vocabulary, context)
    return model.to(torch.float32)  # type: ignore[no-any-return]


def small(**differences: Any) -> PreTrainedModel:
    config: Any = ARCHITECTURES["llama"](VOCABULARY, CONTEXT).config
    config.update(differences)
    torch.manual_seed(7)
    model: Any = LlamaForCausalLM(config)
    return model.to(torch.float32)  # type: ignore[no-any-return]


def test_a_row_is_near_its_float_and_the_same_bits_in_every_batch() -> None:
    torch.manual_seed(1)
    linear = nn.Linear(96, 48)
    packed = Int8Linear(linear.weight, linear.bias)
    rows = torch.randn(5, 7, 96) * torch.logspace(-3, 3, 35).view(5, 7, 1)  # outliers beside small ones
    with torch.inference_mode():
        whole, exact = packed(rows), linear(rows)
        assert torch.equal(packed(rows[2:3, 4]), whole[2, 4][None])
    error = (whole - exact).abs().amax(-1) / (exact - linear.bias).abs().amax(-1)
    assert error.max() < 0.02


def test_a_row_of_zeros_is_the_bias() -> None:
    linear = nn.Linear(8, 4)
    with torch.inference_mode():
        assert torch.equal(Int8Linear(linear.weight, linear.bias)(torch.zeros(1, 8)), linear.bias[None])


def test_gpt2s_layers_the_other_way_round_are_packed_too() -> None:
    layer = Conv1D(6, 8)  # type: ignore[no-untyped-call]
    holder = nn.Sequential(layer, nn.Linear(6, 3))
    rows = torch.randn(2, 8)
    with torch.inference_mode():
        exact = holder(rows)
        pack_linear_layers(holder)
        assert [type(child) for child in holder] == [Int8Linear, Int8Linear]
        assert torch.allclose(holder(rows), exact, atol=0.05 * float(exact.abs().max()))


ROPES: list[dict[str, Any]] = [
    {"rope_type": "default", "rope_theta": 10_000.0},
    {"rope_type": "linear", "rope_theta": 10_000.0, "factor": 2.0},
    {
        "rope_type": "llama3",
        "rope_theta": 10_000.0,
        "factor": 4.0,
        "low_freq_factor": 1.0,
        "high_freq_factor": 4.0,
        "original_max_position_embeddings": 32,
    },
]


@pytest.mark.parametrize("rope", ROPES, ids=[rope["rope_type"] for rope in ROPES])
@pytest.mark.parametrize("tied", [False, True])
def test_the_fused_llama_is_near_its_float_model(rope: dict[str, Any], tied: bool) -> None:
    source = small(rope_parameters=rope, tie_word_embeddings=tied)
    assert fits(source)
    exact = logits(PackedModel(copy.deepcopy(source), memory(source)), PROMPT, PROMPT[:7], (5,))
    fused = logits(Int8Llama(source, memory(source), context=CONTEXT), PROMPT, PROMPT[:7], (5,))
    assert not torch.equal(fused, exact)
    assert torch.nn.functional.cosine_similarity(fused, exact).min() > 0.995


def test_the_fused_llama_is_the_same_bits_alone_and_in_company() -> None:
    source = small()
    model = Int8Llama(source, memory(source), context=CONTEXT)
    prompts = (PROMPT, PROMPT[3:9], PROMPT[::-1], (7,))
    together = logits(model, *prompts)
    for prompt, row in zip(prompts, together, strict=True):
        assert torch.equal(logits(model, prompt)[0], row)


@pytest.mark.parametrize("name", ["llama", "qwen3", "gemma3", "gpt2"])
def test_every_architecture_is_near_its_float_model(name: str) -> None:
    source = in_float32(name, VOCABULARY, CONTEXT)
    exact = logits(PackedModel(copy.deepcopy(source), memory(source)), PROMPT, PROMPT[5:20])
    model: Model
    if fits(source):
        model = Int8Llama(source, memory(source), context=CONTEXT)
    else:
        pack_linear_layers(source)
        model = PackedModel(source, memory(source))
    packed = logits(model, PROMPT, PROMPT[5:20])
    assert not torch.equal(packed, exact)
    similarity = torch.nn.functional.cosine_similarity(packed, exact)
    assert similarity.min() > 0.99


@pytest.mark.parametrize("name", sorted(ARCHITECTURES))
async def test_a_half_precision_checkpoint_is_packed_too(name: str) -> None:
    tokenizer = byte_level(every_byte=False)
    model: Any = ARCHITECTURES[name](len(tokenizer), CONTEXT)
    loaded = Loaded(name, model.to(torch.bfloat16), tokenizer, frozenset({2}), CONTEXT, "int8")
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01))
    async with running(engine):
        answer = await ask(engine, question(3), Params(max_tokens=8, temperature=0.0))
    assert answer.finish[-1] in {"length", "stop"}


@pytest.mark.parametrize("name", ["llama", "qwen3"])
async def test_a_reply_does_not_depend_on_who_else_is_answered(name: str) -> None:
    tokenizer = byte_level(every_byte=False)
    params = Params(max_tokens=16, temperature=0.0)

    def engine(running_at_once: int) -> LocalEngine:
        model = in_float32(name, len(tokenizer), 512)
        loaded = Loaded(name, model, tokenizer, frozenset({2}), 512, "int8")
        scheduler = SchedulerSettings(max_running=running_at_once, prefill_budget=64)
        return LocalEngine(loaded, LocalSettings(kv_cache_gb=0.02, scheduler=scheduler))

    one, many = engine(1), engine(8)
    async with running(one):
        alone = [await ask(one, question(n), params) for n in range(1, 9)]
    async with running(many):
        together = await asyncio.gather(*(ask(many, question(n), params) for n in range(1, 9)))
    assert [answer.token_ids for answer in together] == [answer.token_ids for answer in alone]
