from typing import Any

import pytest
import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    DynamicCache,
    MistralConfig,
    MistralForCausalLM,
    Phi3Config,
    PreTrainedConfig,
)
from transformers.models.llama.modeling_llama import LlamaAttention

from core.engine.architecture import Unfit, examine
from core.engine.engine import Params
from tests.core.engine.architectures import ARCHITECTURES, WINDOW
from tests.core.engine.tiny import reference

PROMPT = (5, 17, 40, 77, 120, 33, 9, 250, 300, 3, 61, 61, 90, 12)
GREEDY = Params(max_tokens=24, temperature=0.0)


def configured(name: str) -> PreTrainedConfig:
    """As a checkpoint has it."""
    config = ARCHITECTURES[name](400, 128).config
    return type(config).from_dict(config.to_dict())


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_of_the_tested_architectures_can_be_run(name: str) -> None:
    model = ARCHITECTURES[name](400, 128)
    examined = examine(configured(name))
    assert (examined.parameters, examined.context) == (model.num_parameters(), 128)


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_a_random_model_answers_with_many_tokens_and_by_all_of_its_prompt(name: str) -> None:
    model = ARCHITECTURES[name](400, 128)
    answer = reference(model, PROMPT, GREEDY)
    assert len(set(answer)) > 6
    near_the_end = (*PROMPT[:-3], 200, *PROMPT[-2:])
    assert reference(model, near_the_end, GREEDY) != answer


@pytest.mark.parametrize("name", ["gemma2", "gemma3", "mistral", "cohere2", "gpt_oss"])
def test_the_tests_windows_are_exceeded(name: str) -> None:
    model = ARCHITECTURES[name](400, 128)
    config = model.config.to_dict()
    assert config["sliding_window"] == WINDOW < len(PROMPT)
    wide: Any = type(model)(type(model.config)(**{**config, "sliding_window": 100}))
    wide.load_state_dict(model.state_dict())
    wide.to(torch.float64).set_experts_implementation("eager")
    assert reference(wide, PROMPT, GREEDY) != reference(model, PROMPT, GREEDY)


def test_the_configuration_is_left_as_it_was() -> None:
    config = configured("gpt2")
    before = config.to_json_string()
    examine(config)
    assert config.to_json_string() == before


# Each needs more of the engine than to attend to the tokens before, or to a window of them, once a layer.
REFUSED = {
    "t5": "an encoder with a decoder",
    "bart": "an encoder with a decoder",
    "bert": "look at those behind them",
    "mamba": "something else of a text",
    "jamba": "something else of a text",
    "qwen3_next": "something else of a text",
    "falcon_h1": "something else of a text",
    "rwkv": "counts positions by itself",
    "bloom": "counts positions by itself",
    "falcon": "exchangeable attention",
    "codegen": "does not go through transformers' interface",
    "stablelm": "does not go through transformers' interface",
    "diffllama": "exactly once",
    "doge": "a mask of its own",
    "gemma4_text": "differ in the shape",
    "llama4_text": "need more than the engine gives them",
    "clip": "no language model of its kind",
}


@pytest.mark.parametrize("name", REFUSED)
def test_what_the_engine_cannot_run_is_refused_with_the_reason(name: str) -> None:
    config: PreTrainedConfig = AutoConfig.for_model(name)
    with pytest.raises(Unfit, match=REFUSED[name]):
        examine(config)


def test_a_model_that_was_made_to_look_ahead_is_refused() -> None:
    config: Any = configured("llama")
    config.is_causal = False
    with pytest.raises(Unfit, match="look at those behind them"):
        examine(config)


class UntoldConfig(MistralConfig):  # type: ignore[no-untyped-call]
    model_type = "untold"
    attention_bias: bool = False


class Untold(MistralForCausalLM):  # type: ignore[no-untyped-call]
    """Its mask has a window that its attention does not speak of."""

    config_class = UntoldConfig

    def __init__(self, config: Any) -> None:
        super().__init__(config)
        for i, layer in enumerate(self.model.layers):
            layer.self_attn = LlamaAttention(config, i)


def test_a_mask_that_the_attention_function_is_not_told_of_is_a_reason_to_refuse() -> None:
    AutoModelForCausalLM.register(UntoldConfig, Untold, exist_ok=True)
    with pytest.raises(Unfit, match="neither at all tokens before nor at a window"):
        examine(UntoldConfig(num_hidden_layers=2, sliding_window=WINDOW))


def test_layers_of_another_kind_in_a_known_model_are_refused() -> None:
    config = AutoConfig.for_model("lfm2", layer_types=["conv", "full_attention"], num_hidden_layers=2)
    assert len(DynamicCache(config=config).layers) == 2
    with pytest.raises(Unfit, match="something else of a text"):
        examine(config)


def test_within_the_context_a_long_neighbour_changes_nobodys_positions() -> None:
    """Longrope takes other factors for all texts of a batch, once one of them is longer than this."""
    factors = [1.0] * 4
    config = Phi3Config(
        vocab_size=400,
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=4096,
        original_max_position_embeddings=512,
        pad_token_id=0,
        rope_parameters={
            "rope_type": "longrope",
            "rope_theta": 10_000.0,
            "short_factor": factors,
            "long_factor": factors,
            "original_max_position_embeddings": 512,
        },
    )
    assert examine(config).context == 512
