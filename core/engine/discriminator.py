"""A model that tells human replies from generated ones, as transformers has its classifiers: convolutions of
several widths over a context and the reply to it, as in SeqGAN (Yu et al., 2017). Importing this module makes it
known to transformers' Auto classes.

Lives beside the engine, whose judge loads such a checkpoint; whoever trains one imports it from here.
"""

from typing import Any

import torch
from torch import nn
from transformers import AutoConfig, AutoModelForSequenceClassification, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.modeling_outputs import SequenceClassifierOutput

MODEL_TYPE = "trialogue-discriminator"

GENERATED, HUMAN = 0, 1
"""The labels."""


class DiscriminatorConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """`widths` are how many tokens a convolution sees at once, with `filters` of each. It was made for the last
    `context_size` tokens before a reply and the first `reply_size` of the reply."""

    model_type = MODEL_TYPE

    vocab_size: int = 8192
    embedding_size: int = 64
    widths: list[int] | tuple[int, ...] = (1, 2, 3, 4, 5)
    filters: int = 128
    dropout: float = 0.25
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
        features = config.filters * len(config.widths)
        self.embedding: nn.Module = nn.Embedding(config.vocab_size, config.embedding_size)
        self.kind = nn.Embedding(2, config.embedding_size)
        self.convolutions = nn.ModuleList(
            nn.Conv1d(config.embedding_size, config.filters, width, padding=width - 1) for width in config.widths
        )
        self.gate = nn.Linear(features, features)
        self.change = nn.Linear(features, features)
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(features, len((GENERATED, HUMAN)))
        self.post_init()  # type: ignore[no-untyped-call]

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embedding = value

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        token_type_ids: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        **_: Any,
    ) -> SequenceClassifierOutput:
        """`[pair, token]`. `token_type_ids` are 0 in the context and 1 in the reply. What the mask leaves out is
        at the ends, and changes nothing."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask
        kinds = torch.ones_like(input_ids) if token_type_ids is None else token_type_ids
        read = (self.embedding(input_ids) + self.kind(kinds)) * mask[..., None]
        found = torch.cat([self._found(convolution, read, mask) for convolution in self.convolutions], -1)
        gate = self.gate(found).sigmoid()  # a highway: Srivastava et al., 2015
        passed = gate * self.change(found).relu() + (1 - gate) * found
        logits = self.classifier(self.dropout(passed))
        loss = None if labels is None else nn.functional.cross_entropy(logits, labels)
        return SequenceClassifierOutput(loss=loss, logits=logits)

    def _found(self, convolution: nn.Module, read: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """The most of each filter. It is 0 at the least, so that 0 where no token is changes nothing."""
        answers = convolution(read.transpose(1, 2)).relu()
        reached = nn.functional.pad(mask, (0, answers.shape[-1] - mask.shape[-1]))  # by the window's last token
        found: torch.Tensor = (answers * reached[:, None]).amax(-1)
        return found

    def _init_weights(self, module: nn.Module) -> None:
        if isinstance(module, nn.Linear | nn.Conv1d):
            init.kaiming_uniform_(module.weight, a=5**0.5)
            assert module.bias is not None
            init.zeros_(module.bias)
        elif isinstance(module, nn.Embedding):
            init.normal_(module.weight, std=self.config.initializer_range)


AutoConfig.register(MODEL_TYPE, DiscriminatorConfig, exist_ok=True)
AutoModelForSequenceClassification.register(DiscriminatorConfig, Discriminator, exist_ok=True)
