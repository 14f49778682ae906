"""One training, from its folder to a model that the engine serves. Knows neither corpora nor what is learnt.

The folder holds `training.json` (what it is), `checkpoints/`, the loss's curve, and at the end the model itself,
as transformers saves it. Whoever asks for the same training in the same folder goes on from its last checkpoint:
after a kill, an interrupt, a full disk, or with more minutes. A checkpoint's own state is written last, and what
lacks it is no checkpoint; an older one goes only once the newer is whole.

The loop is transformers' own; under `torchrun` each process has a device, or a core, and its part of each batch.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec
import torch
from torch.optim.lr_scheduler import LambdaLR
from transformers import Trainer, TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from transformers.trainer_callback import PrinterCallback
from typing_extensions import override

from core.engine import threads
from core.engine.checkpoint import silence_transformers
from core.engine.loading import Progress
from core.errors import CannotTrain
from core.training.budget import Budget
from core.training.curve import Curve
from core.training.folder import claim, disk, interrupts, publish

Example = dict[str, torch.Tensor]
Examples = Sequence[Any] | torch.Tensor
Collate = Callable[[list[Any]], Example]
MakeOptimizer = Callable[..., torch.optim.Optimizer]

_NEVER = 1_000_000_000  # steps: the budget says when, not the trainer's own settings
_CHECKPOINTS = "checkpoints"
_VALIDATED = 64  # examples at most, from all over: at each checkpoint, whose time is the training's
_STATE = "trainer_state.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """`minutes` are for all of the training, and so are `steps`, if given. A step reads `batch` examples in each
    process, `accumulate` times."""

    output: Path
    minutes: float = 15.0
    steps: int | None = None
    batch: int = 16
    accumulate: int = 1
    learning_rate: float = 1e-3
    checkpoint_minutes: float = 2.0
    seed: int = 0

    def __post_init__(self) -> None:
        if min(self.minutes, self.checkpoint_minutes, self.learning_rate) <= 0:
            raise CannotTrain("minutes and the learning rate must be more than 0")
        if min(self.batch, self.accumulate, 1 if self.steps is None else self.steps) < 1:
            raise CannotTrain("a training needs one step of one example at least")


@dataclass(frozen=True, slots=True)
class Trained:
    """`loss` is the validation's, in nats a token, of the model that was kept: that of the least. `None`: it was
    interrupted before there was one."""

    steps: int
    loss: float | None
    interrupted: bool


class Run:
    """The training `what` in its folder. Raises `CannotTrain` when the folder has another one."""

    def __init__(self, settings: RunSettings, what: Mapping[str, Any]) -> None:
        silence_transformers()
        self.output = settings.output
        self._settings = settings
        self._arguments = _arguments(settings)
        with disk(self.output), self.first():
            claim(self.output, what)

    def first(self) -> AbstractContextManager[None]:
        """One process runs the block before the others do: what it wrote is there for them."""
        return self._arguments.main_process_first(local=False)

    def train(
        self,
        model: Any,
        tokenizer: Any,
        examples: Examples,
        validation: Examples,
        *,
        collate: Collate,
        optimizer: MakeOptimizer | None = None,
        merge: bool = True,
        progress: Progress,
    ) -> Trained:
        """Leaves the best model and its tokenizer in the folder; a LoRA is merged into its model, unless `merge`
        is false. `optimizer` is made of the model, its `lr` and `weight_decay`; without one it is AdamW. Ctrl-C,
        or a SIGTERM, ends it with a checkpoint after the step that is under way.

        Raises `CannotTrain`.
        """
        budget = Budget(
            minutes=self._settings.minutes,
            steps=self._settings.steps,
            checkpoint_minutes=self._settings.checkpoint_minutes,
        )
        threads.use(None)  # whatever loaded a model computed alone
        with disk(self.output), interrupts(budget.interrupt):
            trainer = _Trainer(
                model=model,
                args=self._arguments,
                train_dataset=examples,
                eval_dataset=validation[:: -(-len(validation) // _VALIDATED)],
                data_collator=collate,
                processing_class=tokenizer,
                callbacks=[budget, Curve(self.output), _Teller(budget, progress)],
                optimizer_cls_and_kwargs=self._made_by(optimizer),
            )
            trainer.budget = budget
            trainer.remove_callback(PrinterCallback)
            checkpoint = self._checkpoint()
            trainer.train(resume_from_checkpoint=None if checkpoint is None else str(checkpoint))
            if not budget.interrupted and trainer.is_world_process_zero():
                progress("writing the model", 1.0)
                best = trainer.accelerator.unwrap_model(trainer.model)
                publish(_merged(best) if merge else best, tokenizer, self.output)
        state = trainer.state
        return Trained(state.global_step, state.best_metric, budget.interrupted)

    def _made_by(self, optimizer: MakeOptimizer | None) -> Any:
        """As the trainer wants it: what gives what makes one of a model, and the settings."""
        if optimizer is None:
            return None
        of = {"lr": self._settings.learning_rate, "weight_decay": self._arguments.weight_decay}
        return (lambda: optimizer), of

    def _checkpoint(self) -> Path | None:
        """The newest that is whole. What was broken off is removed."""
        whole: dict[int, Path] = {}
        for path in (self.output / _CHECKPOINTS).glob("checkpoint-*"):
            if (step := _step(path)) is not None:
                whole[step] = path
            elif self._arguments.process_index == 0:
                shutil.rmtree(path)
        return whole[max(whole)] if whole else None


class _Trainer(Trainer):
    budget: Budget

    @override
    def create_scheduler(
        self,
        num_training_steps: int,
        optimizer: torch.optim.Optimizer | None = None,
    ) -> LambdaLR:
        """By the budget, which may be of minutes."""
        optimizer = optimizer or self.optimizer
        assert optimizer is not None
        self.lr_scheduler = LambdaLR(optimizer, lambda _: self.budget.learning_rate())
        self._created_lr_scheduler = True
        return self.lr_scheduler


class _Teller(TrainerCallback):
    """Tells the person how far it is."""

    def __init__(self, budget: Budget, progress: Progress) -> None:
        self._budget = budget
        self._progress = progress

    @override
    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        if not state.is_world_process_zero:
            return
        losses = [entry["loss"] for entry in state.log_history if "loss" in entry]
        loss = f", loss {losses[-1]:.3f}" if losses else ""
        self._progress(f"step {state.global_step}{loss}", self._budget.share)


def _arguments(settings: RunSettings) -> TrainingArguments:
    on_cpu = not torch.cuda.is_available()
    return TrainingArguments(
        output_dir=str(settings.output / _CHECKPOINTS),
        max_steps=_NEVER,
        per_device_train_batch_size=settings.batch,
        per_device_eval_batch_size=settings.batch,
        gradient_accumulation_steps=settings.accumulate,
        learning_rate=settings.learning_rate,
        weight_decay=0.1,
        adam_beta2=0.95,
        bf16=_has_bf16_on_cpu() if on_cpu else torch.cuda.is_bf16_supported(),
        use_cpu=on_cpu,
        ddp_find_unused_parameters=False,
        dataloader_pin_memory=not on_cpu,
        seed=settings.seed,
        logging_steps=10,
        eval_strategy="steps",
        save_strategy="steps",
        eval_steps=_NEVER,
        save_steps=_NEVER,
        save_total_limit=2,
        load_best_model_at_end=True,
        metric_for_best_model="eval_loss",
        greater_is_better=False,
        prediction_loss_only=True,
        remove_unused_columns=False,
        disable_tqdm=True,
        report_to="none",
    )


def _has_bf16_on_cpu() -> bool:
    """Whether the processor multiplies such numbers by itself: elsewhere they are slower than float32."""
    has = torch.cpu.get_capabilities()
    return bool(has.get("amx_bf16") or has.get("avx512_bf16"))


def _merged(model: Any) -> Any:
    return model.merge_and_unload() if hasattr(model, "merge_and_unload") else model


def _step(checkpoint: Path) -> int | None:
    """`None`: it was broken off while it was written."""
    try:
        step: int = msgspec.json.decode((checkpoint / _STATE).read_bytes())["global_step"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError):
        return None
    return step
