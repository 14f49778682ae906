"""What came of a load: one record a turn, and what they tell together."""

import statistics
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

SHARES = (50, 90, 95, 99)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """One turn. Seconds: `at` from the beginning of the load to the question, `first` to the first word (`None`
    where that is not seen), `whole` to the end. `tokens` were made; 0: unknown. `error`: the kind of failure."""

    at: float
    whole: float
    first: float | None = None
    tokens: int = 0
    error: str = ""


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """A load of so many `conversations`, `at_once` at any time, against `target`; it took `seconds`."""

    target: str
    conversations: int
    at_once: int
    seconds: float
    turns: Sequence[Answered]

    @property
    def good(self) -> list[Answered]:
        return [turn for turn in self.turns if not turn.error]

    @property
    def errors(self) -> Counter[str]:
        return Counter(turn.error for turn in self.turns if turn.error)

    def percentiles(self, name: str) -> dict[str, float]:
        """Of `first` or `whole`, in seconds. Empty where nothing was seen."""
        values = [value for turn in self.good if (value := getattr(turn, name)) is not None]
        return {f"p{share}": percentile(values, share) for share in SHARES} if values else {}

    def summary(self) -> dict[str, Any]:
        return {
            "target": self.target,
            "conversations": self.conversations,
            "at_once": self.at_once,
            "seconds": self.seconds,
            "turns": len(self.good),
            "turns_per_second": len(self.good) / self.seconds if self.seconds else 0.0,
            "tokens_per_second": sum(turn.tokens for turn in self.good) / self.seconds if self.seconds else 0.0,
            "first_token_seconds": self.percentiles("first"),
            "turn_seconds": self.percentiles("whole"),
            "errors": dict(self.errors),
        }

    def write(self, folder: Path) -> list[Path]:
        """load.json, and load.png where there is matplotlib. Returns what was written."""
        folder.mkdir(parents=True, exist_ok=True)
        written = [folder / "load.json"]
        told = {**self.summary(), "each": self.turns}
        written[0].write_bytes(msgspec.json.format(msgspec.json.encode(told), indent=1))
        if self.good and self._draw(folder / "load.png"):
            written.append(folder / "load.png")
        return written

    def _draw(self, path: Path) -> bool:
        try:
            from matplotlib.figure import Figure  # noqa: PLC0415 - an extra
        except ImportError:
            return False
        figure = Figure(figsize=(8, 4.5), layout="constrained")
        axes = figure.subplots()
        for name, label in (("first", "first word"), ("whole", "whole answer")):
            values = [value for turn in self.good if (value := getattr(turn, name)) is not None]
            if values:
                axes.hist(values, bins=40, alpha=0.6, label=f"{label}, median {statistics.median(values):.2f} s")
        axes.set_xlabel("seconds")
        axes.set_ylabel("turns")
        axes.set_title(f"{len(self.good)} turns, {self.at_once} at once: {self.target}")
        axes.legend()
        figure.savefig(path, dpi=120)
        return True


def percentile(values: Sequence[float], share: int) -> float:
    """The smallest value that so many percent of all do not exceed (nearest rank)."""
    ordered = sorted(values)
    return ordered[max(0, -(-len(ordered) * share // 100) - 1)]
