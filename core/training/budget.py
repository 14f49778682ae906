"""When a training keeps a checkpoint and when it ends: by time, by steps, or because somebody asked.

Several processes train one model, and all of them must decide alike: after each step they agree on the time of the
first of them, and on whether any was asked to stop.
"""

import time
from collections.abc import Callable
from typing import Any

import torch
from torch import distributed
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import ExportableState
from typing_extensions import override

_WARM_UP = 0.03  # of the training: until then the learning rate rises
_FIRST = 0.05  # of the highest learning rate: at the beginning


class Budget(TrainerCallback, ExportableState):
    """`minutes` and, if given, `steps` bound a training over all its resumptions. `clock` gives seconds.

    `share` is how much of it is behind us, from 0 to 1. `interrupt` ends it after the step that is under way, with
    a checkpoint: `interrupted` then.
    """

    def __init__(
        self,
        *,
        minutes: float,
        steps: int | None,
        checkpoint_minutes: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.share = 0.0
        self.interrupted = False
        self._seconds = minutes * 60
        self._steps = steps
        self._between = checkpoint_minutes * 60
        self._clock = clock
        self._began = clock()
        self._spent = 0.0
        self._kept = 0.0  # what was spent at the newest checkpoint
        self._asked = False

    def interrupt(self) -> None:
        self._asked = True

    def learning_rate(self) -> float:
        """As a part of the highest: up, then straight down to nothing (Bergsma et al., 2025:
        https://arxiv.org/abs/2502.15938)."""
        if self.share < _WARM_UP:
            return _FIRST + (1 - _FIRST) * self.share / _WARM_UP
        return (1 - self.share) / (1 - _WARM_UP)

    def state(self) -> dict[str, Any]:
        """What a checkpoint keeps of it."""
        return {"args": {}, "attributes": {"spent": self._spent}}

    @override
    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        callbacks: Any = state.stateful_callbacks
        kept = callbacks.get(type(self).__name__)
        if state.global_step and isinstance(kept, dict):
            self._spent = self._kept = kept["attributes"]["spent"]
        self._began = self._clock() - self._spent
        self._set_share(state.global_step)

    @override
    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> TrainerControl:
        self._spent, self.interrupted = self._agreed(args, state)
        self._set_share(state.global_step)
        over = self.share >= 1
        if over or self.interrupted or self._spent - self._kept >= self._between:
            self._kept = self._spent
            control.should_save = True
            control.should_evaluate = not self.interrupted
            control.should_log = True
        control.should_training_stop = control.should_training_stop or over or self.interrupted
        return control

    def _agreed(self, args: TrainingArguments, state: TrainerState) -> tuple[float, bool]:
        spent = self._clock() - self._began if state.is_world_process_zero else 0.0
        if not distributed.is_initialized():
            return spent, self._asked
        told = torch.tensor([spent, float(self._asked)], dtype=torch.float32, device=args.device)
        distributed.all_reduce(told, op=distributed.ReduceOp.MAX)
        return float(told[0]), bool(told[1])

    def _set_share(self, step: int) -> None:
        by_steps = step / self._steps if self._steps else 0.0
        self.share = min(1.0, max(self._spent / self._seconds, by_steps))
