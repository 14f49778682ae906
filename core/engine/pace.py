"""How fast steps were of late. Knows no sequence."""

from collections import deque
from statistics import median

_REMEMBERED = 64


class Pace:
    """Medians over the last 64, so that one slow step or one very short reply changes little."""

    def __init__(self) -> None:
        self._seconds: deque[float] = deque(maxlen=_REMEMBERED)
        self._shares: deque[float] = deque(maxlen=_REMEMBERED)

    def step(self, seconds: float) -> None:
        """One step took this long."""
        self._seconds.append(seconds)

    def end(self, foreseen: int, taken: int) -> None:
        """A sequence that could take `foreseen` steps took `taken`: most end long before they must."""
        self._shares.append(taken / foreseen)

    def seconds(self, foreseen: int) -> float | None:
        """How long so many foreseen steps will take. `None` before the first step."""
        if not self._seconds:
            return None
        return foreseen * median(self._seconds) * (median(self._shares) if self._shares else 1.0)
