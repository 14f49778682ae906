"""How an adversarial training went, as a table and as a picture."""

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

Row = dict[str, Any]

_PANELS = (
    ("loss (nats a token)", ("loss", "validation_loss")),
    ("discriminator", ("told", "discriminator_accuracy", "discriminator_loss")),
    ("evidence for a human (log-odds)", ("reward",)),
    ("variety", ("distinct_2",)),
)


def write(history: Sequence[Row], folder: Path) -> None:
    """Writes `loss.csv` and `loss.png`: a row and a point for each check."""
    columns = list(dict.fromkeys(name for row in history for name in row))
    with (folder / "loss.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(history)
    draw(history).savefig(folder / "loss.png", dpi=110)


def draw(history: Sequence[Row], panels: Sequence[tuple[str, Sequence[str]]] = _PANELS) -> Figure:
    """Over checks, with a line where a phase begins."""
    figure = Figure(figsize=(8, 2.6 * len(panels)), layout="constrained")
    for number, (label, names) in enumerate(panels, 1):
        axes = figure.add_subplot(len(panels), 1, number, ylabel=label)
        for name in names:
            points = [(at, row[name]) for at, row in enumerate(history) if name in row]
            if points:
                axes.plot(*zip(*points, strict=True), ".-", label=name.replace("_", " "))
        for at, row in enumerate(history):
            if at and row["phase"] != history[at - 1]["phase"]:
                axes.axvline(at - 0.5, color="grey", linestyle=":")
                axes.text(at - 0.4, 1.0, row["phase"], fontsize=7, transform=axes.get_xaxis_transform(), va="top")
        if axes.get_legend_handles_labels()[0]:
            axes.legend(fontsize=7)
        axes.grid(alpha=0.3)
    axes.set_xlabel("check")
    return figure
