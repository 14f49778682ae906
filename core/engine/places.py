"""Where running sequences keep what they carry between steps, and what is remembered between turns.

All of this is bookkeeping on the event loop, ahead of the model thread: whatever is decided here is queued as a
`Copy` and done by the runner before the next forward pass. The copies are done one after the other in the order
in which they were queued, and a forward pass writes only to slots, behind what counts as read. So each copy finds
in its source what the books said when it was queued, and a slot or a block may be handed on at once: whoever gets
it is queued later.

Knows no tensor: how large a token's keys and values are, or what a state is, the runner knows. The books and the
runner's memory are made together and go together.
"""

from collections.abc import Iterable
from collections.abc import Sequence as Row
from dataclasses import dataclass
from typing import Protocol

from core.engine.prefixes import Prefixes
from core.engine.sequence import Sequence
from core.engine.slots import Place, Slots
from core.engine.states import States

__all__ = ["Copy", "KeyValuePlaces", "Load", "Move", "Place", "Places", "Save", "StatePlaces"]


@dataclass(frozen=True, slots=True)
class Save:
    """The tokens [start, start + length) of a slot go to the beginning of a block."""

    place: Place
    start: int
    length: int
    block: int


@dataclass(frozen=True, slots=True)
class Load:
    """A block's first `length` tokens go to [start, start + length) of a slot."""

    block: int
    place: Place
    start: int
    length: int


@dataclass(frozen=True, slots=True)
class Move:
    """The first `length` tokens of a slot go to the beginning of another."""

    source: Place
    target: Place
    length: int


@dataclass(frozen=True, slots=True)
class Scrub:
    """What lies in the first `length` tokens of a slot may not be finite: nothing of it may reach the slot's next
    owner."""

    place: Place
    length: int


Copy = Save | Load | Move | Scrub


class Places(Protocol):
    """What the scheduler asks of them."""

    @property
    def rewinds(self) -> bool:
        """Whether what was read can be taken back: the place then holds the first `read` tokens of a sequence,
        whatever was read behind them."""
        ...

    @property
    def blocks(self) -> int:
        """How many blocks there are for what is remembered between turns."""
        ...

    @property
    def blocks_in_use(self) -> int:
        """How many of them hold something."""
        ...

    def fits(self, length: int) -> bool:
        """Whether a sequence of `length` tokens has a place when it is alone."""
        ...

    def admit(self, sequence: Sequence, spared: Sequence | None = None) -> bool:
        """Give it a place, and queue what the cache knows of it. False: there is no room now, nothing changed.
        Places that would do for `spared` are left alone.

        Sets `place` and `read`, and `cached` when it begins. At least one token stays unread, to sample from.
        """
        ...

    def grow(self, sequence: Sequence, length: int) -> bool:
        """Room for `length` tokens in all, at most what `fits`; `place` may change. False: there is none now."""
        ...

    def tidy(self, sequences: Iterable[Sequence]) -> None:
        """Of all that have a place, bring one nearer to the others: those side by side are read in one call."""
        ...

    def keep(self, sequence: Sequence) -> None:
        """Remember what it has read, as far as there is room and the cache lacks it. Needs its place."""
        ...

    def release(self, sequence: Sequence) -> None:
        """Its place is free, and nothing of it counts as read."""
        ...

    def scrub(self, place: Place, length: int) -> None:
        """Queue it. Nobody else may have been given the place since."""
        ...

    def copies(self) -> tuple[Copy, ...]:
        """What was queued since the last call, in the order in which it must be done."""
        ...


class KeyValuePlaces:
    """Keys and values: a slot of some size for a running sequence, and a tree of blocks between turns.

    `sizes` are (capacity in tokens, number of slots), the capacities rising. The cache has `blocks` blocks of
    `block` tokens. A sequence gets the smallest free slot that holds it with `margin` tokens to come.
    """

    rewinds = True

    def __init__(self, sizes: Row[tuple[int, int]], blocks: int, block: int = 16, *, margin: int = 64) -> None:
        self._slots = Slots(sizes)
        self._prefixes = Prefixes(blocks, block)
        self._margin = margin
        self._queue: list[Copy] = []

    @property
    def blocks(self) -> int:
        return self._prefixes.blocks

    @property
    def blocks_in_use(self) -> int:
        return self._prefixes.in_use

    @property
    def slots_in_use(self) -> int:
        return self._slots.in_use

    def fits(self, length: int) -> bool:
        return length <= self._slots.largest

    def admit(self, sequence: Sequence, spared: Sequence | None = None) -> bool:
        below = None if spared is None else self._wanted(spared, len(spared))
        if (place := self._slots.take(self._wanted(sequence, len(sequence)), below)) is None:
            return False
        start = 0
        for block, length in self._prefixes.match(sequence.tokens(0, len(sequence) - 1)):
            self._queue.append(Load(block, place, start, length))
            start += length
        _begin(sequence, place, start)
        return True

    def grow(self, sequence: Sequence, length: int) -> bool:
        assert sequence.place is not None
        if length <= self._slots.capacity(sequence.place):
            return True
        if (target := self._slots.take(self._wanted(sequence, length))) is None:
            return False
        self._move(sequence, target)
        return True

    def tidy(self, sequences: Iterable[Sequence]) -> None:
        last: dict[int, Sequence] = {}
        for sequence in sequences:
            assert sequence.place is not None
            other = last.setdefault(sequence.place.size, sequence).place
            if other is not None and other.index < sequence.place.index:
                last[sequence.place.size] = sequence
        for sequence in last.values():
            assert sequence.place is not None
            if (target := self._slots.nearer(sequence.place)) is not None:
                self._move(sequence, target)

    def keep(self, sequence: Sequence) -> None:
        assert sequence.place is not None
        for block, start, length in self._prefixes.insert(sequence.tokens(0, sequence.read)):
            self._queue.append(Save(sequence.place, start, length, block))

    def release(self, sequence: Sequence) -> None:
        self._slots.give_back(_leave(sequence))

    def scrub(self, place: Place, length: int) -> None:
        self._queue.append(Scrub(place, length))

    def copies(self) -> tuple[Copy, ...]:
        queue, self._queue = tuple(self._queue), []
        return queue

    def _move(self, sequence: Sequence, target: Place) -> None:
        assert sequence.place is not None
        self._queue.append(Move(sequence.place, target, sequence.read))
        self._slots.give_back(sequence.place)
        sequence.place = target

    def _wanted(self, sequence: Sequence, length: int) -> int:
        """The room that it is given when it has so many tokens."""
        return max(length, min(length + self._margin, sequence.longest))


class StatePlaces:
    """Recurrent states: one of a fixed size for a running sequence, whatever its length, and whole states between
    turns. A state cannot be cut back, so only what begins with all that a state has read can go on from it.

    A slot is as its last owner left it; a chunk that starts at 0 begins with an empty state.
    """

    rewinds = False

    def __init__(self, slots: int, blocks: int) -> None:
        self._slots = Slots([(1, slots)])
        self._states = States(blocks)
        self._queue: list[Copy] = []

    @property
    def blocks(self) -> int:
        return self._states.blocks

    @property
    def blocks_in_use(self) -> int:
        return self._states.in_use

    @property
    def slots_in_use(self) -> int:
        return self._slots.in_use

    def fits(self, length: int) -> bool:  # noqa: ARG002  a state holds any length
        return True

    def admit(self, sequence: Sequence, spared: Sequence | None = None) -> bool:
        if spared is not None or (place := self._slots.take(1)) is None:
            return False
        start = 0
        if (found := self._states.match(sequence.tokens(0, len(sequence) - 1))) is not None:
            block, start = found
            self._queue.append(Load(block, place, 0, start))
        _begin(sequence, place, start)
        return True

    def grow(self, sequence: Sequence, length: int) -> bool:  # noqa: ARG002  a state holds any length
        return True

    def tidy(self, sequences: Iterable[Sequence]) -> None:
        """Nothing: states are gathered one by one."""

    def keep(self, sequence: Sequence) -> None:
        assert sequence.place is not None
        if (block := self._states.insert(sequence.tokens(0, sequence.read))) is not None:
            self._queue.append(Save(sequence.place, 0, sequence.read, block))

    def release(self, sequence: Sequence) -> None:
        self._slots.give_back(_leave(sequence))

    def scrub(self, place: Place, length: int) -> None:
        self._queue.append(Scrub(place, length))

    def copies(self) -> tuple[Copy, ...]:
        queue, self._queue = tuple(self._queue), []
        return queue


def _begin(sequence: Sequence, place: Place, read: int) -> None:
    sequence.place = place
    sequence.read = read
    if not sequence.completion:  # it begins; later it comes back
        sequence.cached = read


def _leave(sequence: Sequence) -> Place:
    assert sequence.place is not None
    place, sequence.place, sequence.read = sequence.place, None, 0
    return place
