"""What a runner keeps in tensors, kept as token ids: copies are really done, and what the model says is made from
what is really in a slot."""

from collections.abc import Iterable, Sequence
from typing import Protocol
from zlib import crc32

from core.engine.places import Copy, Load, Move, Place, Save
from core.engine.scheduler import Chunk

VOCABULARY = 2  # so few that guesses come true


def follows(token_ids: Sequence[int]) -> int:
    """The token that the model says after these: all of them count."""
    return crc32(bytes(token_ids)) % VOCABULARY


def alone(prompt: Sequence[int], room: int) -> list[int]:
    """The completion of a sequence that has the model to itself."""
    token_ids = list(prompt)
    for _ in range(room):
        token_ids.append(follows(token_ids))
    return token_ids[len(prompt) :]


class Memory(Protocol):
    def do(self, copies: Iterable[Copy]) -> None: ...

    def read(self, chunk: Chunk) -> tuple[int, ...] | None: ...

    def holds(self, place: Place, length: int) -> tuple[int, ...]:
        """What the first `length` tokens of a slot were made from."""
        ...

    def spoil(self, place: Place) -> None:
        """What a step leaves that failed in the middle."""
        ...


class KeyValueMemory:
    """A token's keys and values are the token."""

    def __init__(self, capacities: Sequence[int], block: int) -> None:
        self._capacities = capacities
        self._block = block
        self._slots: dict[Place, dict[int, int]] = {}
        self.blocks: dict[int, tuple[int, ...]] = {}

    def do(self, copies: Iterable[Copy]) -> None:
        for copy in copies:
            match copy:
                case Save(place, start, length, block):
                    assert 0 < length <= self._block
                    slot = self._slots[place]
                    self.blocks[block] = tuple(slot[at] for at in range(start, start + length))
                case Load(block, place, start, length):
                    assert 0 < length <= len(self.blocks[block])
                    self._write(place, start, self.blocks[block][:length])
                case Move(source, target, length):
                    self._write(target, 0, self.holds(source, length))

    def read(self, chunk: Chunk) -> tuple[int, ...] | None:
        self._write(chunk.place, chunk.start, chunk.token_ids)
        end = chunk.start + len(chunk.token_ids)
        said: list[int] = []
        for position in range(end - chunk.samples, end):
            said.append(follows(self.holds(chunk.place, position + 1)))
            if position + 1 < end and said[-1] != self._slots[chunk.place][position + 1]:
                break
        return tuple(said) or None

    def holds(self, place: Place, length: int) -> tuple[int, ...]:
        return tuple(self._slots.get(place, {})[at] for at in range(length))

    def spoil(self, place: Place) -> None:
        self._slots[place] = {}

    def _write(self, place: Place, start: int, token_ids: tuple[int, ...]) -> None:
        assert start + len(token_ids) <= self._capacities[place.size], "a slot is not written over its end"
        self._slots.setdefault(place, {}).update(enumerate(token_ids, start))


class StateMemory:
    """A state is all that it has read."""

    def __init__(self) -> None:
        self._slots: dict[Place, tuple[int, ...]] = {}
        self.blocks: dict[int, tuple[int, ...]] = {}

    def do(self, copies: Iterable[Copy]) -> None:
        for copy in copies:
            match copy:
                case Save(place, start, length, block):
                    assert (start, length) == (0, len(self._slots[place]))
                    self.blocks[block] = self._slots[place]
                case Load(block, place, start, length):
                    assert (start, length) == (0, len(self.blocks[block]))
                    self._slots[place] = self.blocks[block]
                case Move():
                    raise AssertionError("a state has no reason to move")

    def read(self, chunk: Chunk) -> tuple[int, ...] | None:
        assert chunk.samples <= 1, "a state does not rewind"
        before = self._slots[chunk.place] if chunk.start else ()
        assert len(before) == chunk.start
        self._slots[chunk.place] = before + chunk.token_ids
        return (follows(self._slots[chunk.place]),) if chunk.samples else None

    def holds(self, place: Place, length: int) -> tuple[int, ...]:
        if not length:
            return ()
        assert len(self._slots[place]) == length
        return self._slots[place]

    def spoil(self, place: Place) -> None:
        self._slots[place] = (-1,)
