"""How the loss went, as a table and as a picture. Both are made anew from what the training remembers of itself,
so that a resumed one has its whole curve."""

import csv
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from typing_extensions import override

_COLUMNS = {"step": "step", "loss": "loss", "eval_loss": "validation_loss", "learning_rate": "learning_rate"}


class Curve(TrainerCallback):
    """Writes `loss.csv` and `loss.png` into `folder`: whenever the loss was validated, and at the end."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    @override
    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        self._write(state)

    @override
    def on_train_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any
    ) -> None:
        self._write(state)

    def _write(self, state: TrainerState) -> None:
        if not state.is_world_process_zero:
            return
        rows = _rows(state.log_history)
        with (self._folder / "loss.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(_COLUMNS.values()))
            writer.writeheader()
            writer.writerows(rows)
        _draw(rows, self._folder / "loss.png")


def _rows(history: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """A row for each step of which something is known."""
    rows: dict[int, dict[str, Any]] = {}
    for entry in history:
        known = {name: entry[key] for key, name in _COLUMNS.items() if key in entry}
        if len(known) > 1:
            rows.setdefault(entry["step"], {}).update(known)
    return [rows[step] for step in sorted(rows)]


def _draw(rows: list[dict[str, Any]], path: Path) -> None:
    figure = Figure(figsize=(8, 5), layout="constrained")
    axes = figure.add_subplot(xlabel="step", ylabel="loss (nats a token)")
    for name, label, style in (("loss", "training", "-"), ("validation_loss", "validation", "o-")):
        points = [(row["step"], row[name]) for row in rows if name in row]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label)
    if axes.lines:
        axes.legend()
    axes.grid(alpha=0.3)
    figure.savefig(path, dpi=120)
