"""Tiny random models of many architectures, in float64 so that the same tokens come out whatever the batch."""

from collections.abc import Callable
from typing import Any

import torch
from transformers import (
    AutoModelForCausalLM,
    Cohere2Config,
    Gemma2Config,
    Gemma3TextConfig,
    GPT2Config,
    GptOssConfig,
    GraniteConfig,
    LlamaConfig,
    MistralConfig,
    Olmo2Config,
    Phi3Config,
    PreTrainedConfig,
    PreTrainedModel,
    Qwen2Config,
    Qwen3Config,
    SmolLM3Config,
)

from core.engine.recurrent import RecurrentConfig

WINDOW = 8  # tokens, so that a short text already leaves it

_SIZES: dict[str, Any] = {
    "hidden_size": 32,
    "intermediate_size": 64,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "initializer_range": 0.4,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": None,
}
_ALTERNATING = ["sliding_attention", "full_attention"]

Make = Callable[[int, int], PreTrainedModel]


def _of(config: Callable[..., PreTrainedConfig], **differences: Any) -> Make:
    def make(vocabulary: int, context: int) -> PreTrainedModel:
        values = {**_SIZES, "vocab_size": vocabulary, "max_position_embeddings": context, **differences}
        return _random(config(**values))

    return make


def _gpt2(vocabulary: int, context: int) -> PreTrainedModel:
    config = GPT2Config(
        vocab_size=vocabulary,
        n_positions=context,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.4,
        bos_token_id=1,
        eos_token_id=2,
    )
    return _random(config)


def _random(config: PreTrainedConfig) -> PreTrainedModel:
    torch.manual_seed(7)
    model: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
        config, experts_implementation="eager"
    )
    model.get_output_embeddings().weight.data[:2] = 0.0  # as a chat model, it says no special token but the end
    return model.to(torch.float64).train(False)  # type: ignore[no-any-return]


ARCHITECTURES: dict[str, Make] = {
    "llama": _of(LlamaConfig),
    "qwen3": _of(Qwen3Config, head_dim=16),  # query-key norms; the heads are together wider than the model
    "gemma3": _of(
        Gemma3TextConfig,
        tie_word_embeddings=False,  # tied, a random model says its last token again and again
        head_dim=8,
        query_pre_attn_scalar=24,
        sliding_window=WINDOW,
        layer_types=_ALTERNATING,
    ),
    "gpt2": _gpt2,
    "mistral": _of(MistralConfig, sliding_window=WINDOW),
    "gemma2": _of(
        Gemma2Config,
        tie_word_embeddings=False,
        head_dim=8,
        query_pre_attn_scalar=24,
        sliding_window=WINDOW,
        layer_types=_ALTERNATING,
        attn_logit_softcapping=2.0,
        final_logit_softcapping=30.0,
    ),
    "phi3": _of(Phi3Config),
    "qwen2": _of(Qwen2Config),
    "olmo2": _of(Olmo2Config),
    "smollm3": _of(SmolLM3Config, no_rope_layer_interval=2),
    "granite": _of(GraniteConfig, attention_multiplier=0.2, logits_scaling=2.0),
    "cohere2": _of(Cohere2Config, sliding_window=WINDOW, layer_types=_ALTERNATING),
    "recurrent": _of(RecurrentConfig, hidden_size=48, initializer_range=0.6),
    "gpt_oss": _of(
        GptOssConfig,
        head_dim=8,
        sliding_window=WINDOW,
        layer_types=_ALTERNATING,
        num_local_experts=2,
        num_experts_per_tok=1,
        rope_parameters={"rope_type": "default", "rope_theta": 10_000.0},
    ),
}
"""By name: from the sizes of vocabulary and context to a model whose end of turn is token 2."""
