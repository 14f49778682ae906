"""What becomes of the waiting line if nobody else comes. Pure: it plays with a copy."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from heapq import heapify, heappop, heappush

from core.engine.line import Line
from core.engine.sequence import Sequence


@dataclass(frozen=True, slots=True)
class Prospect:
    """Of one that waits: its place in the order of admission, from 1, and the steps until then."""

    place: int
    steps: int


def outlook(
    line: Line, begun: Iterable[Sequence], seats: int, steps: Callable[[Sequence], int]
) -> dict[int, Prospect]:
    """The prospect of each that waits, by number. `begun` sit or go before the line; `steps` are what a sequence
    still needs once it sits. Who needs a larger slot than is free may be overtaken: that is not foreseen."""
    line = line.copy()
    ends = [(steps(sequence), sequence.number, sequence) for sequence in begun]
    heapify(ends)
    prospects: dict[int, Prospect] = {}
    now = 0
    while len(line):
        while ends and (len(ends) >= seats or ends[0][0] <= now):
            now, _, ended = heappop(ends)
            line.end(ended)
        sequence = line.first()
        assert sequence is not None
        prospects[sequence.number] = Prospect(len(prospects) + 1, now)
        line.begin(sequence)
        heappush(ends, (now + steps(sequence), sequence.number, sequence))
    return prospects
