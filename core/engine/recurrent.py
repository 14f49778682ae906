"""A recurrent language model as transformers has its models: an LSTM that carries a state from token to token, in
the place of keys and values. Importing this module makes it known to transformers' Auto classes.

Lives beside the engine, which loads and runs such a checkpoint; whoever trains one imports it from here.
"""

from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from torch.nn.utils.rnn import PackedSequence
from transformers import AutoConfig, AutoModelForCausalLM, GenerationMixin, PreTrainedConfig, PreTrainedModel
from transformers import initialization as init
from transformers.utils.generic import ModelOutput

MODEL_TYPE = "trialogue-recurrent"


class RecurrentConfig(PreTrainedConfig):  # type: ignore[no-untyped-call]
    """`num_hidden_layers` layers of `hidden_size` cells. Tokens become `embedding_size` numbers, by default as
    many as there are cells; only then can the embedding be the output layer too (`tie_word_embeddings`).

    A state holds a text of any length: `max_position_embeddings` is the longest that the model was made for.
    """

    model_type = MODEL_TYPE

    vocab_size: int = 8192
    hidden_size: int = 512
    embedding_size: int | None = None
    num_hidden_layers: int = 1
    dropout: float = 0.0
    initializer_range: float = 0.1
    max_position_embeddings: int = 2048
    tie_word_embeddings: bool = False
    use_cache: bool = True
    bos_token_id: int | None = None
    eos_token_id: int | list[int] | None = None
    pad_token_id: int | None = None

    def __post_init__(self, **kwargs: Any) -> None:
        if self.embedding_size is None:
            self.embedding_size = self.hidden_size
        if self.tie_word_embeddings and self.embedding_size != self.hidden_size:
            raise ValueError("tie_word_embeddings needs an embedding_size that is the hidden_size")
        super().__post_init__(**kwargs)  # type: ignore[no-untyped-call]


@dataclass
class RecurrentOutput(ModelOutput):
    """`state` is `[text, 2, layer, cell]`: what each layer says and what it remembers, after all that was read."""

    loss: torch.Tensor | None = None
    logits: torch.Tensor | None = None
    state: torch.Tensor | None = None


class RecurrentForCausalLM(PreTrainedModel, GenerationMixin):
    """Reads tokens after a state, and says what follows each."""

    config_class = RecurrentConfig
    config: RecurrentConfig
    main_input_name = "input_ids"
    _is_stateful = True
    _tied_weights_keys = {"lm_head.weight": "embedding.weight"}  # noqa: RUF012  transformers' own form

    def __init__(self, config: RecurrentConfig) -> None:
        super().__init__(config)
        width = config.embedding_size or config.hidden_size
        layers = config.num_hidden_layers
        self.embedding: nn.Module = nn.Embedding(config.vocab_size, width)
        self.dropout = nn.Dropout(config.dropout)
        self.lstm = nn.LSTM(width, config.hidden_size, layers, dropout=config.dropout if layers > 1 else 0.0)
        self.lm_head = nn.Linear(config.hidden_size, config.vocab_size, bias=False)
        self.post_init()  # type: ignore[no-untyped-call]

    @property
    def state_shape(self) -> tuple[int, int, int]:
        """Of one text's state."""
        return 2, self.config.num_hidden_layers, self.config.hidden_size

    def get_input_embeddings(self) -> nn.Module:
        return self.embedding

    def set_input_embeddings(self, value: nn.Module) -> None:
        self.embedding = value

    def read(
        self, ids: torch.Tensor, lengths: torch.Tensor, state: torch.Tensor | None = None
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Several texts, one behind the other in `ids`, each after its own state; each has one token at least.

        `lengths` is on the CPU. Returns what the last layer says to each token, `[token, cell]`, and the states
        after all of them. A text's values do not depend on those beside it.
        """
        order = lengths.argsort(descending=True, stable=True)
        starts = lengths.cumsum(0) - lengths
        times = torch.arange(int(lengths.max()))[:, None]
        read = times < lengths[order]  # [time, text]
        rows = (times + starts[order])[read].to(ids.device)
        inverse = rows.argsort()
        order = order.to(ids.device)
        packed = PackedSequence(self.dropout(self.embedding(ids))[rows], read.sum(1), order, order.argsort())
        before = None if state is None else tuple(part.contiguous() for part in state.permute(1, 2, 0, 3))
        said, after = self.lstm(packed, before)
        return said.data[inverse], torch.stack(after).permute(2, 0, 1, 3)

    def next_logits(self, state: torch.Tensor) -> torch.Tensor:
        """What follows the tokens that were read into each state, `[text, vocabulary]`."""
        logits: torch.Tensor = self.lm_head(self.dropout(state[:, 0, -1]))
        return logits

    def hidden(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """What the last layer says to each token, `[text, token, cell]`, and the states after all of them. See
        `forward`."""
        mask = torch.ones_like(input_ids) if attention_mask is None else attention_mask[:, -input_ids.shape[1] :]
        read = mask.bool()
        lengths = read.sum(1).cpu()
        texts = lengths.nonzero()[:, 0].to(input_ids.device)
        if state is None:
            shape = len(input_ids), *self.state_shape
            state = torch.zeros(shape, dtype=self.dtype, device=input_ids.device)
        hidden = state.new_zeros(*input_ids.shape, self.config.hidden_size)
        if len(texts):
            said, after = self.read(input_ids[read], lengths[lengths > 0], state[texts])
            # Where training computes in bfloat16, the states are still kept as they are.
            hidden = hidden.masked_scatter(read[..., None], said.to(hidden.dtype))
            state = state.index_copy(0, texts, after.to(state.dtype))
        return hidden, state

    def forward(
        self,
        input_ids: torch.Tensor,
        attention_mask: torch.Tensor | None = None,
        state: torch.Tensor | None = None,
        labels: torch.Tensor | None = None,
        use_cache: bool | None = None,
        logits_to_keep: int | torch.Tensor = 0,
        **more: Any,
    ) -> RecurrentOutput:
        """`[text, token]`. The mask may be longer than the tokens: it ends where they end. Where it is 0 nothing
        is read, and the logits say nothing."""
        hidden, state = self.hidden(input_ids, attention_mask, state)
        kept = slice(-logits_to_keep, None) if isinstance(logits_to_keep, int) else logits_to_keep
        logits = self.lm_head(self.dropout(hidden[:, kept]))
        loss = None
        if labels is not None:
            loss_of: Any = self.loss_function
            loss = loss_of(logits=logits, labels=labels, vocab_size=self.config.vocab_size, **more)
        return RecurrentOutput(loss, logits, state if self._caches(use_cache) else None)

    def _caches(self, use_cache: bool | None) -> bool:
        return self.config.use_cache if use_cache is None else use_cache

    def _init_weights(self, module: nn.Module) -> None:
        deviation = self.config.initializer_range
        if isinstance(module, nn.LSTM):
            for name, parameter in module.named_parameters():
                if name.startswith("weight"):
                    init.normal_(parameter, std=deviation)
                else:
                    init.zeros_(parameter)
        elif isinstance(module, nn.Embedding | nn.Linear):
            init.normal_(module.weight, std=deviation)

    @classmethod
    def _supports_default_dynamic_cache(cls) -> bool:
        return False

    def _reorder_cache(self, state: torch.Tensor, beams: torch.Tensor) -> torch.Tensor:
        """For beam search: each beam goes on from the state of the one that it came from."""
        return state.index_select(0, beams.to(state.device))


AutoConfig.register(MODEL_TYPE, RecurrentConfig, exist_ok=True)
AutoModelForCausalLM.register(RecurrentConfig, RecurrentForCausalLM, exist_ok=True)
