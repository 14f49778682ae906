"""What each running sequence reads in the next step. Knows no line and no time.

Every sequence that writes reads its newest token, whatever the others do. The prompts share a budget, so that a
step's time is bounded: each gets as much as any other, and what a short one does not need goes to the longer ones.
Guesses of what comes next get what is left of it.
"""

from collections.abc import Collection
from collections.abc import Sequence as Row
from dataclasses import dataclass

from core.engine.batch import Chunk
from core.engine.drafts import Drafts
from core.engine.places import Places
from core.engine.sequence import Sequence

_PARTS = 4  # of the budget: one is sure for whoever came first, however many short prompts follow


@dataclass(slots=True)
class Run:
    """A sequence that has begun, in which step, and the most steps that were foreseen for it. `known`: the runner
    has heard of it."""

    sequence: Sequence
    since: int
    foreseen: int
    known: bool = False
    drafts: Drafts | None = None


class Reading:
    """`budget`, `drafts` and `draft_running` are the scheduler's."""

    def __init__(self, places: Places, *, budget: int, drafts: int, draft_running: int) -> None:
        self._places = places
        self._budget = budget
        self._drafts = drafts if places.rewinds else 0
        self._draft_running = draft_running

    def steps(self, sequence: Sequence) -> int:
        """The most steps that it needs to its end, with the prompts' budget to itself."""
        reading = -(-sequence.unread // self._budget)
        return reading + sequence.room - len(sequence.completion) - 1

    def chunks(self, runs: Collection[Run]) -> tuple[Chunk, ...]:
        """Their chunks, in their order. Each of them has a place with room for all its tokens."""
        reading = [run.sequence for run in runs if run.sequence.phase == "prefill"]
        shares = _shares(self._budget, reading)
        left = self._budget - sum(shares.values())
        guesses = len(runs) <= self._draft_running
        chunks = []
        for run in runs:
            sequence = run.sequence
            share = shares.get(sequence.number, 1)
            if share == sequence.unread > 1 and shares_a_state(self._places, sequence):
                share -= 1
            token_ids = sequence.tokens(sequence.read, sequence.read + share)
            samples = int(share == sequence.unread)
            if guesses and sequence.phase == "decode":
                drafts = self._guess(run, left)
                token_ids += drafts
                samples += len(drafts)
                left -= len(drafts)
            if token_ids:
                chunks.append(_chunk(run, token_ids, samples))
        return tuple(chunks)

    def _guess(self, run: Run, left: int) -> tuple[int, ...]:
        """What may follow the newest token. One of the room is left for what the model says after it."""
        sequence = run.sequence
        most = min(left, self._drafts, sequence.room - len(sequence.completion) - 1)
        if most < 1:
            return ()
        if run.drafts is None:
            run.drafts = Drafts(self._drafts)
        run.drafts.extend(sequence.tokens(len(run.drafts), len(sequence)))
        drafts = run.drafts.propose(most)
        return drafts if self._places.grow(sequence, len(sequence) + len(drafts)) else ()


def shares_a_state(places: Places, sequence: Sequence) -> bool:
    """Whether other candidates go on from its state before the last token of the prompt. A state cannot be cut
    back, and each of them must read a token itself to sample from."""
    return not places.rewinds and sequence.params.candidates > 1 and not sequence.completion


def _chunk(run: Run, token_ids: tuple[int, ...], samples: int) -> Chunk:
    sequence = run.sequence
    assert sequence.place is not None
    prefix = () if run.known else sequence.tokens(0, sequence.read)
    run.known = True
    return Chunk(
        sequence.number,
        sequence.place,
        sequence.read,
        token_ids,
        samples,
        sequence.params,
        sequence.candidate,
        prefix,
    )


def _shares(budget: int, reading: Row[Sequence]) -> dict[int, int]:
    """By number, for sequences in the order in which they got their places. Whoever came first is sure of a part
    of the budget; the other parts go to those that have read least, so that a short prompt is read at once."""
    part = max(1, budget // _PARTS)
    shares: dict[int, int] = dict.fromkeys((sequence.number for sequence in reading), 0)

    def give(sequence: Sequence, most: int) -> None:
        nonlocal budget
        share = min(sequence.unread - shares[sequence.number], most, budget)
        shares[sequence.number] += share
        budget -= share

    if reading:
        give(reading[0], part)
    in_turn = sorted(reading, key=lambda sequence: (sequence.read - sequence.cached) // part)
    for most in (part, budget):
        for sequence in in_turn:
            give(sequence, most)
    return shares
