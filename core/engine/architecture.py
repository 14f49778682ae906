"""Which models the engine can run, found out before their weights are read. Knows no tokens and no memory.

The engine packs the new tokens of all conversations into one row, so a model may look from one token to another in
one place only: the attention function that transformers calls by name, once a layer. A model's name does not say
whether that holds. So it is made from its configuration on the `meta` device, where tensors have a shape and no
content, and is run twice on a few tokens, which takes about 0.4 s for 32 layers of any size:

- as the engine runs it, with a function that writes down what it is asked for;
- with transformers' own mask, whose rule must be what the function was told: all tokens before, or a window.

Our own recurrent model looks nowhere: what it needs of a text is in its state.
"""

import copy
import inspect
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import torch
from transformers import (
    AttentionInterface,
    AttentionMaskInterface,
    AutoModelForCausalLM,
    DynamicCache,
    PreTrainedConfig,
)
from transformers.cache_utils import DynamicLayer, DynamicSlidingWindowLayer

from core.engine.recurrent import RecurrentConfig, RecurrentForCausalLM

_PLAIN, _MASKED = "trialogue-probe", "trialogue-probe-masked"
_TOKENS = 5
_FAR = 100_000  # tokens, behind every border at which a rule might change
_SMALLEST_CONTEXT = 2048  # for a model that does not say what it was made for

# What may be handed to an attention function beside what the engine's own knows, since it changes nothing there.
_WITHOUT_MEANING = frozenset({"position_ids", "logits_to_keep"})
_UNDERSTOOD = frozenset({"scaling", "dropout", "sliding_window", "softcap", "s_aux"}) | _WITHOUT_MEANING

_Rule = Callable[[torch.Tensor, torch.Tensor, torch.Tensor, torch.Tensor], torch.Tensor]


class Unfit(Exception):
    """The engine cannot run such a model. The text says why, with "it" for the model."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """`context` is the most tokens that the model was made for; within it, what a token gets does not depend on
    how long the other texts in a batch are."""

    parameters: int
    context: int


@dataclass(frozen=True, slots=True)
class _Call:
    layer: int | None
    query: torch.Size
    key: torch.Size
    value: torch.Size
    window: int | None
    causal: bool
    rule: _Rule | None
    unknown: frozenset[str]


def examine(config: PreTrainedConfig) -> Architecture:
    """Raises `Unfit` when the engine cannot run a model of this configuration."""
    try:
        return _examine(config)
    except Unfit:
        raise
    except Exception as error:  # it is code of any kind that runs here
        raise Unfit(f"its layers need more than the engine gives them ({type(error).__name__})") from error


def _examine(config: PreTrainedConfig) -> Architecture:
    if isinstance(config, RecurrentConfig):
        with torch.device("meta"):
            return Architecture(RecurrentForCausalLM(config).num_parameters(), config.max_position_embeddings)
    if config.is_encoder_decoder:
        raise Unfit("it is an encoder with a decoder")
    kinds = {type(layer) for layer in DynamicCache(config=config).layers}
    if not kinds <= {DynamicLayer, DynamicSlidingWindowLayer}:
        raise Unfit("it keeps something else of a text than keys and values of each layer")
    model = _without_weights(config)
    if "position_ids" not in inspect.signature(model.forward).parameters:
        raise Unfit("it counts positions by itself")
    _check_calls(_run(model), _layers(config))
    model.set_attn_implementation(_MASKED)
    masked = _run(model, attention_mask=torch.ones(1, _TOKENS, device="meta"))
    for rule, window in {(call.rule, call.window) for call in masked}:
        _check_rule(rule, window)
    return Architecture(model.num_parameters(), _context(config))


def _without_weights(config: PreTrainedConfig) -> Any:
    config = copy.deepcopy(config)
    config.pad_token_id = None  # some models look for it in the tokens, and these have no content
    try:
        with torch.device("meta"):
            model: Any = AutoModelForCausalLM.from_config(  # type: ignore[no-untyped-call]
                config,
                attn_implementation=_PLAIN,
                dtype=torch.bfloat16,
                trust_remote_code=False,
            )
    except (KeyError, ValueError) as error:
        raise Unfit("transformers has no language model of its kind with an exchangeable attention") from error
    return model.train(False)


def _run(model: Any, **more: torch.Tensor) -> list[_Call]:
    """As the engine does: a row of tokens with any positions, of which some are wanted."""
    calls: list[_Call] = []
    row = torch.zeros(1, _TOKENS, dtype=torch.long, device="meta")
    with torch.no_grad():
        output = model(
            input_ids=row, position_ids=row, use_cache=False, logits_to_keep=row[0, :2], probe=calls, **more
        )
    if output.logits.shape[1] != 2:
        raise Unfit("it gives logits for other tokens than were asked for")
    return calls


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    sliding_window: int | None = None,
    is_causal: bool | None = None,
    probe: list[_Call] | None = None,
    **rest: Any,
) -> tuple[torch.Tensor, None]:
    if probe is not None:
        unknown = {name for name, given in rest.items() if isinstance(given, torch.Tensor)} - _UNDERSTOOD
        causal = is_causal is not False and getattr(module, "is_causal", True)
        rule: _Rule | None = getattr(attention_mask, "rule", None)
        layer: Any = getattr(module, "layer_idx", None)
        shapes = (query.shape, key.shape, value.shape)
        probe.append(_Call(layer, *shapes, sliding_window, causal, rule, frozenset(unknown)))
    batch, heads, rows, _ = query.shape
    return query.new_empty(batch, rows, heads, value.shape[-1]), None


def _mask(*, batch_size: int, q_length: int, kv_length: int, mask_function: _Rule, **_: Any) -> torch.Tensor:
    """A mask without content that carries its rule; a model that computes with it loses that."""
    mask: Any = torch.empty(batch_size, 1, q_length, kv_length, dtype=torch.bool, device="meta")
    mask.rule = mask_function
    return mask  # type: ignore[no-any-return]


AttentionInterface.register(_PLAIN, _attention)
AttentionInterface.register(_MASKED, _attention)
AttentionMaskInterface.register(_MASKED, _mask)


def _check_calls(calls: list[_Call], layers: int) -> None:
    if not calls:
        raise Unfit("its attention does not go through transformers' interface")
    if [call.layer for call in calls] != list(range(layers)):
        raise Unfit("not each of its layers attends exactly once")
    if not all(call.causal for call in calls):
        raise Unfit("its tokens look at those behind them")
    if unknown := sorted(frozenset().union(*(call.unknown for call in calls))):
        raise Unfit(f"its attention needs {', '.join(unknown)}")
    if len({(call.query, call.key, call.value) for call in calls}) != 1:
        raise Unfit("its layers differ in the shape of their keys and values")
    _check_shapes(calls[0])


def _check_shapes(call: _Call) -> None:
    _, query_heads, *_ = call.query
    batch, heads, rows, _ = call.key
    if (batch, rows) != (1, _TOKENS) or call.query[-2] != rows or call.value[:3] != call.key[:3]:
        raise Unfit("its attention reads other tokens than were given")
    if query_heads % heads:
        raise Unfit("its query heads share no key-value heads evenly")


def _check_rule(rule: _Rule | None, window: int | None) -> None:
    if rule is None:
        raise Unfit("its attention has a mask of its own")
    zero = torch.tensor(0)
    for query in (0, _TOKENS, min(window or 0, _FAR), _FAR):
        keys = torch.arange(query + 2)
        expected = (keys <= query) & (keys > query - (window or _FAR * 2))
        if not torch.equal(rule(zero, zero, torch.tensor(query), keys).expand(keys.shape), expected):
            raise Unfit("its attention looks neither at all tokens before nor at a window of them")


def _layers(config: PreTrainedConfig) -> int:
    count: int = config.get_text_config(decoder=True).num_hidden_layers
    return count


def _context(config: PreTrainedConfig) -> int:
    text: Any = config.get_text_config(decoder=True)
    context = getattr(text, "max_position_embeddings", None) or _SMALLEST_CONTEXT
    return min([context, *_rope_borders(text)])


def _rope_borders(text: Any) -> Iterator[int]:
    """Where a rotary embedding takes other factors for all texts of a batch when one of them is longer."""
    ropes = getattr(text, "rope_parameters", None) or {}
    for rope in (ropes, *ropes.values()):  # of all layers, or by the kind of layer
        if isinstance(rope, dict) and rope.get("rope_type") == "longrope":
            yield rope["original_max_position_embeddings"]
