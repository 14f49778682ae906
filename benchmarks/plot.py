"""The picture: speed and waiting time by the number of conversations, one line an engine."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from benchmarks.results import Summary

_COLOURS = ("#d1495b", "#8c564b", "#1f77b4", "#2ca02c", "#9467bd", "#ff7f0e", "#7f7f7f")


def plot(path: Path, summaries: Sequence[Summary], title: str) -> None:
    """Writes a PNG. Engines keep their colour by their order in `summaries`."""
    mpl.use("Agg")
    engines = list(dict.fromkeys(each.engine for each in summaries))
    sizes = sorted({each.conversations for each in summaries})
    figure, (speed, waiting) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
    for engine, colour in zip(engines, _COLOURS, strict=False):
        found = [each for each in summaries if each.engine == engine and each.rounds]
        at = [each.conversations for each in found]
        style = {"label": engine, "color": colour, "marker": "o", "linewidth": 1.8}
        speed.plot(at, [each.tokens_per_second for each in found], **style)
        waiting.plot(at, [each.last_p95 for each in found], **style)
    _dress(speed, sizes, "tokens/s of all conversations together")
    _dress(waiting, sizes, "seconds to the first token, last turn, p95")
    figure.legend(*speed.get_legend_handles_labels(), loc="outside lower center", ncols=3, frameon=False)
    figure.suptitle(title, fontsize=10)
    figure.savefig(path, dpi=130)
    plt.close(figure)


def _dress(axes: Axes, sizes: Sequence[int], label: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log", base=2)  # several ticks also where engines are close to one another
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set(xlabel="conversations at once", title=label)
    axes.set_xticks(sizes, [str(size) for size in sizes])
    axes.minorticks_off()
    axes.grid(visible=True, alpha=0.3)
