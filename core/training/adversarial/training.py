"""One adversarial training, from its folder to its end: likelihood, telling apart, and the game of both.

1. Warm-up: the generator learns from human replies by likelihood.
2. The discriminator learns to tell its replies from human ones.
   Both learn as far as they get better on the validation part. The best is gone on with.
3. Rounds: some steps of the generator against the discriminator, and some of the discriminator.

All that a next step depends on is one file, `checkpoint.pt`, which is replaced whole: after a kill, an interrupt
or a full disk the same training goes on from it, and does what it would have done.
"""

import math
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path
from typing import Any, Literal

import torch

from core.engine.discriminator import Discriminator
from core.engine.loading import Progress
from core.engine.recurrent import RecurrentForCausalLM
from core.training.adversarial.curve import Row, write
from core.training.adversarial.game import Game, accuracy, loss_of, telling_loss
from core.training.adversarial.pairs import Pairs
from core.training.adversarial.sampling import draw

Phase = Literal["warm-up", "discriminator", "rounds", "over"]
Measure = Callable[[Game], Mapping[str, float]]

_CHECKPOINT = "checkpoint.pt"
_SHARES: Mapping[Phase, float] = {"warm-up": 0.4, "discriminator": 0.3, "rounds": 0.3}  # of the minutes
_ENDS = dict(zip(_SHARES, accumulate(_SHARES.values()), strict=True))
_LEARNS = frozenset({"warm-up", "discriminator"})  # one alone, as far as it gets better
_NEXT: Mapping[Phase, Phase] = {"warm-up": "discriminator", "discriminator": "rounds", "rounds": "over"}
_VALIDATED = 1024  # pairs at most
_LAST_RATE = 0.1  # of the warm-up's first


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The most steps of each phase, and the minutes of all of them: the warm-up has four tenths at most, and the
    discriminator three more. A round is `plays` steps of the generator and `tells` of the discriminator.

    `checks` says after how many steps of each phase a check comes: the curve's next point, and a checkpoint. After
    `patience` checks that found nothing better the warm-up is over, and so is the discriminator's learning. Which
    generator is best, the least of `best_by` says.
    """

    minutes: float = 30.0
    warm_up: int = 20_000
    discriminator: int = 20_000
    rounds: int = 1_000
    plays: int = 5
    tells: int = 1
    checks: Mapping[Phase, int] = field(
        default_factory=lambda: {"warm-up": 200, "discriminator": 100, "rounds": 20}
    )
    patience: int = 4
    best_by: str = "validation_loss"

    def steps(self, phase: Phase) -> int:
        return {"warm-up": self.warm_up, "discriminator": self.discriminator, "rounds": self.rounds, "over": 0}[
            phase
        ]


class Training:
    """`validation` is what the players are measured by; `measure` may add figures of its own. `clock` gives
    seconds. `interrupt` ends it after the step that is under way: `interrupted` then."""

    def __init__(
        self,
        game: Game,
        validation: Pairs,
        plan: Plan,
        folder: Path,
        *,
        end: int | None,
        progress: Progress,
        measure: Measure = lambda _game: {},
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.game = game
        self.interrupted = False
        self.phase: Phase = "warm-up"
        self.history: list[Row] = []
        self._validation = validation[slice(None, None, -(-len(validation) // _VALIDATED))]
        self._plan = plan
        self._folder = folder
        self._end = end
        self._progress = progress
        self._measure = measure
        self._clock = clock
        self._step = 0  # of the phase
        self._spent = 0.0
        self._told: list[float] = []  # what the steps since the last check came to
        self._best: dict[str, torch.Tensor] | None = None
        self._best_value = math.inf
        self._worse = 0  # checks since the best of this phase

    def interrupt(self) -> None:
        self.interrupted = True

    def run(self) -> None:
        """Raises `OSError` and `RuntimeError` when the disk is full; the last checkpoint is whole then."""
        self._resume()
        began = self._clock() - self._spent
        while self.phase != "over":
            if self._step == 0 and self.phase == "warm-up":
                self._check()
            self._told.append(self._move())
            self._step += 1
            self._spent = self._clock() - began
            is_over = self._is_over()
            if is_over or self._step % self._plan.checks[self.phase] == 0:
                self._check()
                is_over = is_over or (self.phase in _LEARNS and self._worse >= self._plan.patience)
            if is_over:
                self._next_phase()
            if is_over or self.interrupted or not self._told:
                self._keep()
            if self.interrupted:
                return

    def _move(self) -> float:
        if self.phase == "warm-up":
            share = self._step / self._plan.warm_up
            down = (1 + math.cos(math.pi * share)) / 2
            return self.game.learn(_LAST_RATE + (1 - _LAST_RATE) * down)
        if self.phase == "discriminator":
            return self.game.tell()
        rewards = [self.game.play() for _ in range(self._plan.plays)]
        for _ in range(self._plan.tells):
            self.game.tell()
        return rewards[-1]

    def _is_over(self) -> bool:
        share = self._spent / (self._plan.minutes * 60)
        return self._step >= self._plan.steps(self.phase) or share >= _ENDS[self.phase]

    def _check(self) -> None:
        game = self.game
        generated = draw(game.generator, self._validation, game.random, end=self._end)
        row: Row = {
            "phase": self.phase,
            "step": self._step,
            "seconds": round(self._spent, 1),
            "validation_loss": loss_of(game.generator, self._validation),
            "distinct_2": _distinct(generated),
            **self._measure(game),
        }
        if self._told:
            kind = {"warm-up": "loss", "discriminator": "told", "rounds": "reward"}[self.phase]
            row[kind] = sum(self._told) / len(self._told)
        if self.phase != "warm-up":
            chances = game.chance(self._validation), game.chance(generated)
            row |= {"discriminator_accuracy": accuracy(*chances), "discriminator_loss": telling_loss(*chances)}
        self.history.append(row)
        self._told = []
        if self.phase in _LEARNS:
            self._remember(row[self._plan.best_by if self.phase == "warm-up" else "discriminator_loss"])
        write(self.history, self._folder)
        self._tell(row)

    def _remember(self, value: float) -> None:
        if value < self._best_value:
            self._best_value, self._worse = value, 0
            self._best = {name: each.clone() for name, each in self._learner.state_dict().items()}
        else:
            self._worse += 1

    @property
    def _learner(self) -> RecurrentForCausalLM | Discriminator:
        return self.game.generator if self.phase == "warm-up" else self.game.discriminator

    def _next_phase(self) -> None:
        if self._best is not None:
            self._learner.load_state_dict(self._best)
        self._best, self._best_value, self._worse = None, math.inf, 0
        self.phase, self._step = _NEXT[self.phase], 0

    def _tell(self, row: Row) -> None:
        share = self._spent / (self._plan.minutes * 60)
        by_steps = self._step / self._plan.steps(self.phase)
        figures = [
            f"{name} {row[name]:.3f}" for name in ("validation_loss", "discriminator_accuracy") if name in row
        ]
        done = _SHARES[self.phase]
        before = _ENDS[self.phase] - done
        self._progress(
            f"{self.phase} {self._step}: {', '.join(figures)}", max(before + done * by_steps, min(share, 1.0))
        )

    def _keep(self) -> None:
        state = {
            "phase": self.phase,
            "step": self._step,
            "spent": self._spent,
            "history": self.history,
            "told": self._told,
            "best": self._best,
            "best_value": self._best_value,
            "worse": self._worse,
            "generator": self.game.generator.state_dict(),
            "discriminator": self.game.discriminator.state_dict(),
            "torch": torch.get_rng_state(),  # for dropout
            "game": self.game.state(),
        }
        new = self._folder / f".{_CHECKPOINT}"
        try:
            torch.save(state, new)
        except BaseException:
            new.unlink(missing_ok=True)
            raise
        new.replace(self._folder / _CHECKPOINT)

    def _resume(self) -> None:
        path = self._folder / _CHECKPOINT
        if not path.exists():
            return
        state: dict[str, Any] = torch.load(path, weights_only=True)
        self.phase, self._step, self._spent = state["phase"], state["step"], state["spent"]
        self.history, self._told = state["history"], state["told"]
        self._best, self._best_value, self._worse = state["best"], state["best_value"], state["worse"]
        self.game.generator.load_state_dict(state["generator"])
        self.game.discriminator.load_state_dict(state["discriminator"])
        torch.set_rng_state(state["torch"])
        self.game.load_state(state["game"])


def _distinct(pairs: Pairs) -> float:
    """How many of all pairs of neighbouring tokens are different ones, of 1."""
    both = (pairs.reply_mask[:, :-1] * pairs.reply_mask[:, 1:]).bool()
    found = torch.stack([pairs.reply[:, :-1][both], pairs.reply[:, 1:][both]], 1)
    return len(torch.unique(found, dim=0)) / max(1, len(found))
