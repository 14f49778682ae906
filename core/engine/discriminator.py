"""A model that tells human replies from generated ones, as transformers has its classifiers. Importing this module
makes it known to transformers' Auto classes.

It reads as a recurrent language model does, and has for each token that may come next how much that one would
speak for a human: the logarithm of the odds. What speaks for a reply is the sum over its tokens. So it judges
whole replies and, as a critic, each next token of a reply that is not whole yet.

Lives beside the engine, whose judge loads such a checkpoint; whoever trains one imports it from here.
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

from core.engine.recurrent import RecurrentConfig, RecurrentForCausalLM

MODEL_TYPE = "trialogue-discriminator"

GENERATED, HUMAN = 0, 1
"""The labels."""


class DiscriminatorConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """One layer of `hidden_size` cells. It was made for the last `context_size` tokens before a reply and the
    first `reply_size` of the reply."""

    model_type = MODEL_TYPE

    vocab_size: int = 8192
    hidden_size: int = 128
    dropout: float = 0.3
    initializer_range: float = 0.1
    context_size: int = 64
    reply_size: int = 32
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        kwargs.setdefault("id2label", {GENERATED: "generated", HUMAN: "human"})
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


class Discriminator(PreTrainedModel):
    """Reads pairs of a context and a reply, and says which label each has."""

    config_class = DiscriminatorConfig
    config: DiscriminatorConfig
    main_input_name = "input_ids"

    def __init__(self, config: DiscriminatorConfig) -> None:
        super().__init__(config)
        self.reader = RecurrentForCausalLM(
            RecurrentConfig(
                vocab_size=config.vocab_size,
                hidden_size=config.hidden_size,
                dropout=config.dropout,
                initializer_range=config.initializer_range,
            )
        )
        self.token = nn.Parameter(torch.empty(config.vocab_size))
        self.constant = nn.Parameter(torch.empty(1))
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        return self.reader.get_input_embeddings()

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.reader.set_input_embeddings(value)

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """`[pair, token]`. `token_type_ids` are 0 in the context and 1 in the reply; without them all but the
        first token is the reply. What the mask leaves out is not read."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kinds = torch.ones_like(input_ids) if token_type_ids is None else token_type_ids
        known, _state = self.reader.hidden(input_ids[:, :-1], mask[:, :-1])
        said = input_ids[:, 1:]
        weights = self.reader.lm_head.weight[said]
        evidence = (self.reader.dropout(known) * weights).sum(-1) + self.token[said]
        score = (evidence * (kinds * mask)[:, 1:]).sum(1) + self.constant
        logits = torch.stack([torch.zeros_like(score), score], 1)
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def evidence(self, input_ids: torch.Tensor, attention_mask: torch.Tensor, last: int) -> torch.Tensor:
        """How much each token would speak for a human after the tokens that end at each of the `last` places,
        `[pair, place, token]`."""
        logits = self.reader(input_ids, attention_mask, use_cache=False, logits_to_keep=last).logits
        evidence: torch.Tensor = logits + self.token
        return evidence

    def _init_weights(self, module: nn.Module) -> None:
        if module is self:
            init.zeros_(self.token)
            init.zeros_(self.constant)
        else:
            self.reader._init_weights(module)  # noqa: SLF001  it is a part of this model


AutoConfig.register(MODEL_TYPE, DiscriminatorConfig, exist_ok=True)
AutoModelForSequenceClassification.register(DiscriminatorConfig, Discriminator, exist_ok=True)
