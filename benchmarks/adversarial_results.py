"""How the adversarial benchmark's results are written down. Knows no model."""

import csv
import json
import statistics
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from matplotlib.figure import Figure

from benchmarks.machine import describe

Json = dict[str, Any]


def keep(folder: Path, part: Mapping[str, Any]) -> None:
    """Puts a part beside what `adversarial.json` has of the other, and writes all files anew."""
    path = folder / "adversarial.json"
    found: Json = json.loads(path.read_text()) if path.exists() else {}
    found |= part
    path.write_text(json.dumps(found, indent=1) + "\n")
    text = "\n".join(_text(found))
    (folder / "adversarial.md").write_text(text + "\n")
    rows = list(_rows(found))
    with (folder / "adversarial.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, list(dict.fromkeys(name for row in rows for name in row)))
        writer.writeheader()
        writer.writerows(rows)
    _figure(found).savefig(folder / "adversarial.png", dpi=110)
    print(f"\n{text}")


def _rows(found: Json) -> Iterator[Json]:
    for run in found.get("oracle", {}).get("runs", ()):
        yield from ({"part": "oracle", "seed": run["seed"], **row} for row in run["history"])
    yield from ({"part": "chitchat", **row} for row in found.get("chitchat", {}).get("history", ()))


def _text(found: Json) -> Iterator[str]:
    yield "# The adversarial game"
    yield ""
    yield from (f"- {line}" for line in describe(("torch", "transformers", "chitchat-dataset")))
    if "oracle" in found:
        yield from _oracle(found["oracle"])
    if "chitchat" in found:
        yield from _chitchat(found["chitchat"])


def _oracle(part: Json) -> Iterator[str]:
    runs = part["runs"]
    yield from ("", "## The synthetic oracle", "")
    yield ", ".join(f"{name} {value}" for name, value in part["settings"].items()) + f". {part['note']}"
    columns = "random", *("NLL_oracle", "NLL_test") * 3
    yield from ("", "| | | by likelihood | | in the game | | at its end | | |", "| --- |" + 8 * " ---: |")
    yield f"| seed | {' | '.join(columns)} | lower by |"
    margins = []
    for run in runs:
        random, end = run["history"][0]["nll_oracle"], run["history"][-1]
        learnt, played = best(run, "warm-up"), best(run, "rounds")
        margins.append(learnt["nll_oracle"] - played["nll_oracle"])
        told = [each[name] for each in (learnt, played, end) for name in ("nll_oracle", "nll_test")]
        yield f"| {run['seed']} | " + " | ".join(f"{cell:.3f}" for cell in (random, *told, margins[-1])) + " |"
    yield ""
    yield (
        "By likelihood and in the game: the checkpoint with the least NLL_oracle of each. Lower by"
        f" {statistics.mean(margins):.3f} nats on average, {min(margins):.3f} at the least. The oracle itself has"
        f" {', '.join(format(run['oracle_itself'], '.3f') for run in runs)}."
    )
    yield from ("", "The generator by likelihood with a colder softmax, the mean of the seeds:", "")
    yield from ("| temperature | NLL_oracle | NLL_test |", "| ---: | ---: | ---: |")
    for rows in zip(*(run["temperatures"] for run in runs), strict=True):
        oracle, test = (statistics.mean(row[name] for row in rows) for name in ("nll_oracle", "nll_test"))
        yield f"| {rows[0]['temperature']:.1f} | {oracle:.3f} | {test:.3f} |"


def best(run: Json, phase: str) -> Json:
    """The check with the least NLL_oracle of a phase. That of the warm-up is what the game began with, and must
    beat."""
    return min((row for row in run["history"] if row["phase"] == phase), key=lambda row: float(row["nll_oracle"]))


def _chitchat(part: Json) -> Iterator[str]:
    history = part["history"]
    learnt = [row for row in history if row["phase"] == "discriminator"]
    before = min(learnt, key=lambda row: float(row["discriminator_loss"]))  # what the game began with
    yield from ("", "## chitchat", "")
    yield f"A share of 0.5 is guessing; replies to conversations of the validation part. {part['note']}"
    yield from (
        "",
        "| | told from human replies | distinct-2 | validation, nats a token |",
        "| --- | ---: | ---: | ---: |",
    )
    for name, row in (("the warmed-up generator", before), ("after the game", history[-1])):
        cells = [float(row[key]) for key in ("discriminator_accuracy", "distinct_2", "validation_loss")]
        yield f"| {name} | " + " | ".join(f"{cell:.3f}" for cell in cells) + " |"


def _figure(found: Json) -> Figure:
    figure = Figure(figsize=(8, 4.5), layout="constrained")
    axes = figure.add_subplot(xlabel="NLL_test (nats a token)", ylabel="NLL_oracle (nats a token)")
    for number, run in enumerate(found.get("oracle", {}).get("runs", ())):
        game = [best(run, "warm-up"), *(row for row in run["history"] if row["phase"] == "rounds")]
        for label, rows, style in (("game", game, ".-"), ("temperature", run["temperatures"], "x--")):
            points: Sequence[tuple[float, float]] = [(row["nll_test"], row["nll_oracle"]) for row in rows]
            axes.plot(*zip(*points, strict=True), style, color=f"C{number}", label=f"{label}, seed {run['seed']}")
    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=7)
    axes.grid(alpha=0.3)
    return figure
