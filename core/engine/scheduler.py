"""Chooses what the next step reads. Pure Python on the event loop: no tensor, no text, no lock.

A step reads one token of every sequence that writes, and beside them at most `prefill_chunk` tokens of prompts,
the oldest first. So a long prompt costs the others a little in each step and never a whole prompt's time.

What must hold: a sequence waits or runs or has left; a batch holds a sequence at most once; once a running
sequence has left, the next batch says that its cache is free.
"""

from collections import deque
from collections.abc import Sequence as Row
from dataclasses import dataclass, field

from core.engine.engine import Params
from core.engine.sequence import Sequence
from core.errors import Overloaded


@dataclass(frozen=True, slots=True)
class Chunk:
    """The tokens of one sequence that a step reads. `samples`: a new token follows from them."""

    number: int
    token_ids: tuple[int, ...] = field(repr=False)
    samples: bool
    params: Params


@dataclass(frozen=True, slots=True)
class Batch:
    """One step. `freed` are the numbers of sequences whose cache must go before it."""

    chunks: tuple[Chunk, ...]
    freed: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.chunks or self.freed)


class Scheduler:
    """The waiting line and the running sequences."""

    def __init__(self, *, max_running: int, max_waiting: int, prefill_chunk: int) -> None:
        self._max_running = max_running
        self._max_waiting = max_waiting
        self._prefill_chunk = prefill_chunk
        self._waiting: deque[Sequence] = deque()
        self._running: dict[int, Sequence] = {}  # in order of admission
        self._freed: list[int] = []

    @property
    def waiting(self) -> int:
        return len(self._waiting)

    @property
    def running(self) -> int:
        return len(self._running)

    def add(self, sequence: Sequence) -> None:
        """Put a sequence into the waiting line. Raises `Overloaded` when that is full."""
        if self.running + self.waiting >= self._max_running + self._max_waiting:
            raise Overloaded(f"{self.running} sequences run and {self.waiting} wait")
        self._waiting.append(sequence)

    def remove(self, number: int) -> None:
        """Take a sequence out, finished or not. Does nothing once it has left."""
        if self._running.pop(number, None) is not None:
            self._freed.append(number)
        else:
            self._waiting = deque(sequence for sequence in self._waiting if sequence.number != number)

    def schedule(self) -> Batch:
        """The next step: empty when nothing runs and nothing is to be freed."""
        while self._waiting and self.running < self._max_running:
            sequence = self._waiting.popleft()
            self._running[sequence.number] = sequence
        freed, self._freed = tuple(self._freed), []
        return Batch(tuple(self._chunks()), freed)

    def commit(self, batch: Batch, sampled: Row[int | None]) -> list[Sequence]:
        """Apply a step's result, a token or `None` for each chunk. Returns the sequences that grew by a token;
        those that left during the step are passed over."""
        grown = []
        for chunk, token_id in zip(batch.chunks, sampled, strict=True):
            if (sequence := self._running.get(chunk.number)) is None:
                continue
            sequence.read += len(chunk.token_ids)
            if token_id is not None:
                sequence.completion.append(token_id)
                grown.append(sequence)
        return grown

    def _chunks(self) -> list[Chunk]:
        chunks = []
        budget = self._prefill_chunk
        for sequence in self._running.values():
            token_ids = sequence.next(budget)
            if sequence.phase == "prefill":
                budget -= len(token_ids)
            if token_ids:
                samples = len(token_ids) == sequence.unread
                chunks.append(Chunk(sequence.number, token_ids, samples, sequence.params))
        return chunks
