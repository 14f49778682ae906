"""Runs a model for one step, in the model's own thread. The one module that holds keys and values.

Knows numbers and token ids: neither requests nor text, neither the event loop nor a lock. Each sequence has
transformers' own cache, and the chunks of a batch go through the model one after the other.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from transformers import DynamicCache

from core.engine.sampler import Sampler
from core.engine.scheduler import Batch, Chunk

if TYPE_CHECKING:
    from transformers import PreTrainedModel

# Whatever torch or a model raises for one sequence's tokens. Anything else is our mistake and ends the engine.
_STEP_ERRORS = (ArithmeticError, LookupError, MemoryError, RuntimeError, TypeError, ValueError)

Outcome = int | None | Exception
"""Of one chunk: the token that was sampled, `None` where none was due, or what went wrong."""


@dataclass(frozen=True, slots=True)
class _State:
    cache: DynamicCache
    sampler: Sampler


class Runner:
    """What each running sequence carries between steps, and the forward pass.

    Only one thread may call `run` at a time. `torch` threads must be set in that thread.
    """

    def __init__(self, model: "PreTrainedModel") -> None:
        self._model = model.train(False)
        self._states: dict[int, _State] = {}

    def __len__(self) -> int:
        """How many sequences have a cache."""
        return len(self._states)

    def run(self, batch: Batch) -> list[Outcome]:
        """The outcome of each chunk, in their order. A sequence that failed keeps nothing."""
        for number in batch.freed:
            self._states.pop(number, None)
        with torch.inference_mode():
            return [self._outcome(chunk) for chunk in batch.chunks]

    def _outcome(self, chunk: Chunk) -> Outcome:
        try:
            return self._read(chunk)
        except _STEP_ERRORS as error:
            self._states.pop(chunk.number, None)
            return error

    def _read(self, chunk: Chunk) -> int | None:
        state = self._state(chunk)
        state.sampler.observe(chunk.token_ids)
        output = self._model(
            input_ids=torch.tensor([chunk.token_ids], device=self._model.device),
            past_key_values=state.cache,
            use_cache=True,
            logits_to_keep=1,
        )
        return state.sampler.sample(output.logits[0, -1]) if chunk.samples else None

    def _state(self, chunk: Chunk) -> _State:
        if (state := self._states.get(chunk.number)) is None:
            state = _State(DynamicCache(config=self._model.config), Sampler(chunk.params))
            self._states[chunk.number] = state
        return state
