"""Slots in size classes: which are free, and which one a sequence of some length gets.

Knows numbers only: no tensor, no token, no sequence.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from heapq import heapify, heappop, heappush


@dataclass(frozen=True, slots=True)
class Place:
    """A slot: the `index`-th of the size class `size`."""

    size: int
    index: int


class Slots:
    """`sizes` are (capacity in tokens, number of slots), the capacities rising."""

    def __init__(self, sizes: Sequence[tuple[int, int]]) -> None:
        capacities = [capacity for capacity, _ in sizes]
        if not sizes or capacities != sorted(set(capacities)) or any(min(size) < 1 for size in sizes):
            raise ValueError(f"size classes need slots and rising capacities, and are {sizes}")
        self._capacities = capacities
        self._counts = [count for _, count in sizes]
        self._free = [list(range(count)) for count in self._counts]
        for free in self._free:
            heapify(free)

    @property
    def largest(self) -> int:
        """The capacity of the largest class."""
        return self._capacities[-1]

    @property
    def in_use(self) -> int:
        return sum(self._counts) - sum(map(len, self._free))

    def capacity(self, place: Place) -> int:
        return self._capacities[place.size]

    def take(self, length: int, below: int | None = None) -> Place | None:
        """The smallest free slot that holds `length` tokens, and less than `below`; `None` when there is none. Of
        a class it is the one with the lowest index, so that those in use lie together at the beginning of the
        class's memory."""
        for size, capacity in enumerate(self._capacities):
            if capacity >= length and (below is None or capacity < below) and self._free[size]:
                return Place(size, heappop(self._free[size]))
        return None

    def nearer(self, place: Place) -> Place | None:
        """The lowest free slot of the same class, if more than one lies below `place`."""
        below = [index for index in self._free[place.size] if index < place.index]
        if len(below) < 2:
            return None
        return Place(place.size, heappop(self._free[place.size]))

    def give_back(self, place: Place) -> None:
        heappush(self._free[place.size], place.index)
