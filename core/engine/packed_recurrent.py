"""A recurrent model, run on packed batches with our memory of states."""

from collections.abc import Sequence

import torch

from core.engine.attend import Span
from core.engine.recurrent import RecurrentForCausalLM
from core.engine.state_tensors import StateTensors


class PackedRecurrent:
    """One forward pass for sequences of any lengths: at each moment the next token of all that still have one."""

    def __init__(self, model: RecurrentForCausalLM, memory: StateTensors) -> None:
        self.memory = memory
        self.vocabulary: int = model.config.vocab_size
        self.model = model.train(False)

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,  # noqa: ARG002  the state knows how far it has come
        spans: Sequence[Span],
        wanted: torch.Tensor,
    ) -> torch.Tensor:
        """See `core.engine.runner.Model`."""
        lengths = torch.tensor([span.length for span in spans])
        hidden, states = self.model.read(ids, lengths, self.memory.before(spans))
        logits: torch.Tensor = self.model.lm_head(hidden[wanted])
        self.memory.write(spans, states)
        return logits
