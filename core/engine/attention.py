"""Any model of transformers that goes through its attention interface, run on packed batches, unforked.

transformers looks an attention function up by name and calls it once in each layer. Ours writes keys and values to
our memory and attends to them there; the model itself sees one row of tokens with a position for each, and knows
of no conversations. No mask function is registered, so that transformers makes no mask.
"""

from collections.abc import Sequence
from typing import Any

import torch
from transformers import AttentionInterface, PreTrainedModel

from core.engine.attend import Look, Span, Step
from core.engine.keys_values import KeysValues, Shape

NAME = "trialogue"


def _attention(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,  # noqa: ARG001  there is none
    *,
    step: Step,
    scaling: float | None = None,
    sliding_window: int | None = None,
    softcap: float | None = None,
    s_aux: torch.Tensor | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """transformers' calling convention: `[1, head, row, dimension]` in, `[1, row, head, dimension]` out."""
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    query, key, value = (part[0].transpose(0, 1) for part in (query, key, value))
    layer: Any = module.layer_idx
    return step.attend(layer, query, key, value, Look(scale, sliding_window, softcap, s_aux))[None], None


AttentionInterface.register(NAME, _attention)


def shape_of(model: PreTrainedModel) -> Shape:
    """What `model` keeps of a token, seen by letting it read one."""
    seen: list[tuple[torch.Size, torch.Size]] = []

    class Recorder:
        def attend(
            self, _layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, _look: Look
        ) -> torch.Tensor:
            seen.append((key.shape, value.shape))
            return value.repeat_interleave(query.shape[1] // value.shape[1], 1)

    token = torch.zeros(1, 1, dtype=torch.long, device=model.device)
    model.set_attn_implementation(NAME)
    runs: Any = model
    with torch.inference_mode():
        runs(input_ids=token, position_ids=token, use_cache=False, step=Recorder())
    (_, heads, dimension), (_, _, value_dimension) = seen[0]
    return Shape(len(seen), heads, dimension, value_dimension)


class PackedModel:
    """A model of transformers with our memory."""

    def __init__(self, model: PreTrainedModel, memory: KeysValues) -> None:
        model.set_attn_implementation(NAME)
        self.memory = memory
        self.vocabulary: int = model.config.get_text_config().vocab_size
        self._model: Any = model.train(False)

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, spans: Sequence[Span], wanted: torch.Tensor
    ) -> torch.Tensor:
        """See `core.engine.runner.Model`."""
        output = self._model(
            input_ids=ids[None],
            position_ids=positions[None],
            use_cache=False,
            logits_to_keep=wanted,
            step=Step(self.memory, spans),
        )
        logits: torch.Tensor = output.logits[0]
        return logits
