"""Slack's limit for a method, kept before Slack has to say so. Knows no method and no clock."""

from collections import deque

from adapters.delivery import Rate


class Tier:
    """Calls of one method. All times are the event loop's."""

    def __init__(self, rate: Rate) -> None:
        self._rate = rate
        self._calls: deque[float] = deque(maxlen=rate.count)

    def take(self, now: float) -> float:
        """Count one call more, and say how many seconds it has to wait first."""
        at = now
        if len(self._calls) == self._rate.count:
            at = max(now, self._calls[0] + self._rate.per_seconds)
        self._calls.append(at)
        return at - now
