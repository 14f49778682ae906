"""The picture: processor time of a turn beside the bare bot's, and turns a second by the number of workers."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt

from benchmarks.turn_results import BARE, OURS, Scaled, Turns

_COLOURS = {BARE: "#7f7f7f", OURS: "#d1495b"}
_WIDTH = 0.38


def plot(path: Path, turns: Sequence[Turns], scaled: Sequence[Scaled]) -> None:
    """Writes a PNG."""
    mpl.use("Agg")
    figure, (cpu, workers) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
    most = max((row.at_once for row in turns), default=0)
    names = list(dict.fromkeys(row.platform for row in turns))
    for shift, (bot, colour) in enumerate(_COLOURS.items()):
        found = {row.platform: row for row in turns if row.bot == bot and row.at_once == most}
        heights = [1e6 * found[name].cpu if name in found else 0.0 for name in names]
        cpu.bar([i + shift * _WIDTH for i in range(len(names))], heights, _WIDTH, label=bot, color=colour)
    cpu.set_xticks([i + _WIDTH / 2 for i in range(len(names))], names)
    cpu.set(title=f"processor time of a turn, µs, {most} at once")
    cpu.legend(frameon=False)
    at = [each.workers for each in scaled]
    workers.plot(at, [each.per_second for each in scaled], marker="o", color=_COLOURS[OURS], label="measured")
    if scaled:
        workers.plot(at, [scaled[0].per_second * n / at[0] for n in at], "--", color="#7f7f7f", label="linear")
    workers.set(title="turns a second, with a model that sleeps", xlabel="workers", ylim=0)
    workers.legend(frameon=False)
    figure.savefig(path, dpi=130)
    plt.close(figure)
