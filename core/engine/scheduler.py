"""Chooses what the next step reads. Pure Python on the event loop: no tensor, no text, no lock.

A step reads the newest token of every sequence that writes, and beside them at most `prefill_budget` tokens of
prompts, in turns: a long prompt holds up neither those who are being answered nor a short prompt that came
after it. Guessed tokens get only what the prompts leave of that budget.

Memory. A place is given for the tokens that a sequence has now and a few more, not for all that it may come to:
most replies end long before `max_tokens`, and room for the worst case would keep out others who fit. The price is
that one may outgrow its place when no larger one is free. It is suspended then: what it read goes to the cache,
its place to others, and it stands before the waiting line for a place again. It goes on where it was; whoever
reads its stream sees a pause.

Why nobody waits for ever: one that is alone always has a place, since `add` refuses what does not fit; each one
that has a place grows by a token at least before it can lose it; and one that found no place large enough may be
overtaken only so often: after that nobody else gets a place that would do for it.

The line is bounded, and nobody who was accepted is refused later. A user may have as many waiting as there are
free places left in it (the dynamic threshold of Choudhury and Hahne, 1998): one alone gets half of the line, two
who fill it together a third each, and whoever has nothing waiting is taken until there is no place at all.

What must hold: a sequence waits, runs, is suspended or has left; only those that run have a place; a batch holds a
sequence at most once; once a sequence has left, the next batch says so.
"""

import time
from collections.abc import Callable, Iterator
from collections.abc import Sequence as Row
from dataclasses import dataclass

from core.engine.batch import Batch, Chunk
from core.engine.line import Line
from core.engine.outlook import Prospect, outlook
from core.engine.pace import Pace
from core.engine.places import Place, Places
from core.engine.reading import Reading, Run, shares_a_state
from core.engine.sequence import Sequence
from core.errors import Overloaded

__all__ = ["Batch", "Chunk", "Scheduler", "SchedulerSettings"]

_LOOK_AHEAD = 8  # how many that find no place are passed over in one step
_MOST_OVERTAKEN = 32  # times; then those behind wait until it has its place


@dataclass(frozen=True, slots=True, kw_only=True)
class SchedulerSettings:
    """`prefill_budget` is the most prompt tokens that one step reads, of all sequences together. At most `drafts`
    tokens a sequence are guessed in a step, while at most `draft_running` sequences run."""

    max_running: int = 64
    max_waiting: int = 256
    prefill_budget: int = 256
    drafts: int = 4
    draft_running: int = 2

    def __post_init__(self) -> None:
        if min(self.max_running, self.prefill_budget) < 1 or min(self.max_waiting, self.drafts) < 0:
            raise ValueError("a scheduler needs at least one place to run in and one token to read")


class Scheduler:
    """The waiting line, the running sequences and those that are suspended.

    `clock` gives seconds. The caller removes every sequence that is full or done before the next step.
    """

    def __init__(
        self, settings: SchedulerSettings, places: Places, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._settings = settings
        self._places = places
        self._clock = clock
        self._line = Line()
        self._reading = Reading(
            places,
            budget=settings.prefill_budget,
            drafts=settings.drafts,
            draft_running=settings.draft_running,
        )
        self._running: dict[int, Run] = {}  # in the order in which they got their places
        self._suspended: dict[int, Run] = {}  # the longest suspended first
        self._in_step: frozenset[int] = frozenset()
        self._freed: list[int] = []
        self._refused = False  # somebody found no place, and nothing has changed since
        self._seats = settings.max_running  # as many as found a place the last time
        self._steps = 0
        self._step_began = 0.0
        self._pace = Pace()
        self._outlook: dict[int, Prospect] | None = None  # as it was at `_outlook_step`
        self._outlook_step = 0

    @property
    def waiting(self) -> int:
        """How many have no place, those that lost theirs included."""
        return len(self._line) + len(self._suspended)

    @property
    def running(self) -> int:
        return len(self._running)

    @property
    def cache_blocks(self) -> int:
        """How many blocks the cache between turns has."""
        return self._places.blocks

    @property
    def cache_used(self) -> int:
        """How many of them hold something."""
        return self._places.blocks_in_use

    @property
    def most_candidates(self) -> int:
        """How many sequences of one request are taken where nobody else waits or runs."""
        return (self._settings.max_running + self._settings.max_waiting + 1) // 2

    @property
    def held(self) -> tuple[tuple[Place, int], ...]:
        """The places of those that run, and how much of each may have been written."""
        running = (run.sequence for run in self._running.values())
        return tuple((each.place, len(each)) for each in running if each.place is not None)

    def place_in_line(self, number: int) -> int:
        """How many begin before this one does, it included, if nobody else comes. 0: it has begun, or left."""
        prospect = self._prospects().get(number)
        return prospect.place if prospect is not None else 0

    def estimate(self, number: int) -> float | None:
        """Seconds until it begins, by the speed and the length of replies of late; 0 once it has run.
        `None` while nothing was measured."""
        if (prospect := self._prospects().get(number)) is None:
            return 0.0
        return self._pace.seconds(max(0, prospect.steps - (self._steps - self._outlook_step)))

    def add(self, sequence: Sequence) -> None:
        """Put a sequence into the waiting line.

        Raises `Overloaded` when that is full, or when its user has as many waiting as places are free.
        `ValueError`: it is empty, or would not fit if it were alone.
        """
        if not sequence.prompt or not self._places.fits(sequence.longest):
            raise ValueError(f"a sequence of {sequence.longest} tokens has no place")
        places = self._settings.max_running + self._settings.max_waiting
        if places - self.running - self.waiting <= self._line.beside(sequence):
            raise Overloaded(f"{self.running} sequences run and {self.waiting} wait")
        self._change()
        self._line.join(sequence)
        if sequence.leader is not None and self._reads_prompt(sequence.leader):
            self._line.hold(sequence)
        else:
            sequence.leader = None

    def remove(self, number: int, keep: bool = True) -> None:
        """Take a sequence out, finished or not. Does nothing once it has left.

        What it has read is remembered, unless `keep` is false: then it failed, and is not to be trusted.
        """
        if (sequence := self._line.get(number)) is not None:
            self._line.leave(sequence)
        elif (run := self._running.pop(number, None)) is not None:
            sequence = run.sequence
            # A state has gone on already with what a step under way reads.
            if not sequence.completion:  # nothing was sampled, so that nobody knows whether it is finite
                assert sequence.place is not None
                self._places.scrub(sequence.place, len(sequence))
            elif keep and (self._places.rewinds or number not in self._in_step):
                self._places.keep(sequence)
            self._places.release(sequence)
            self._end(run)
        elif (run := self._suspended.pop(number, None)) is not None:
            sequence = run.sequence
            self._end(run)
        else:
            return
        self._change()
        self._hand_on(sequence)

    def scrub(self, chunk: Chunk) -> None:
        """What was read of it failed; it may have left meanwhile. Between a step and its `commit`."""
        self._places.scrub(chunk.place, chunk.start + len(chunk.token_ids))

    def schedule(self) -> Batch:
        """The next step: empty when there is nothing to do. `commit` comes before the next call."""
        self._make_room()
        self._admit()
        self._places.tidy(run.sequence for run in self._running.values())
        chunks = self._reading.chunks(self._running.values())
        self._in_step = frozenset(chunk.number for chunk in chunks)
        freed, self._freed = tuple(self._freed), []
        self._step_began = self._clock()
        return Batch(self._places.copies(), chunks, freed)

    def commit(
        self, batch: Batch, outcomes: Row[tuple[int, ...] | None]
    ) -> list[tuple[Sequence, tuple[int, ...]]]:
        """Apply a step's result: for each chunk that samples, the new tokens, and `None` for the others.

        Returns who grew, with its new tokens. Those that left during the step, or were removed since because they
        failed in it, are passed over.
        """
        self._in_step = frozenset()
        if batch.chunks:
            self._steps += 1
            self._pace.step(self._clock() - self._step_began)
        grown = []
        for chunk, outcome in zip(batch.chunks, outcomes, strict=True):
            if (run := self._running.get(chunk.number)) is None:
                continue
            token_ids = outcome or ()
            assert bool(token_ids) == bool(chunk.samples)
            sequence = run.sequence
            sequence.read += len(chunk.token_ids) - chunk.samples + len(token_ids)
            if sequence.unread == 1 and shares_a_state(self._places, sequence):
                self._places.keep(sequence)
            if run.drafts is not None and chunk.samples > 1:
                run.drafts.judge(chunk.samples - 1, len(token_ids) - 1)
            if token_ids:
                grown.append((sequence, token_ids))
                self._write(sequence, token_ids)
        return grown

    def _write(self, sequence: Sequence, token_ids: tuple[int, ...]) -> None:
        was_reading = not sequence.completion
        sequence.completion += token_ids
        if was_reading:
            self._places.keep(sequence)
            self._change()
            self._hand_on(sequence)

    def _change(self) -> None:
        """Who has a place, or waits for one, is not who it was."""
        self._outlook = None
        self._refused = False

    def _make_room(self) -> None:
        """Those who got their places first go first; who finds no room is suspended."""
        for number, run in list(self._running.items()):
            sequence = run.sequence
            if sequence.phase == "decode" and not self._places.grow(sequence, len(sequence)):
                self._places.keep(sequence)
                self._places.release(sequence)
                self._suspended[number] = self._running.pop(number)
                self._change()

    def _admit(self) -> None:
        if self._refused:
            return
        refused: list[Sequence] = []
        spared: Sequence | None = None
        for sequence in self._in_turn():
            if self.running == self._settings.max_running:
                break
            foreseen = self._reading.steps(sequence)
            if self._places.admit(sequence, spared):
                self._begin(sequence, foreseen)
                for other in refused:
                    other.overtaken += 1
            else:
                refused.append(sequence)
                self._line.hold(sequence)
                if spared is None and sequence.overtaken >= _MOST_OVERTAKEN:
                    spared = sequence
                if len(refused) == _LOOK_AHEAD:
                    break
        for sequence in refused:
            self._line.let_go(sequence)
        self._refused = bool(refused)
        self._seats = max(1, self.running) if refused else self._settings.max_running

    def _in_turn(self) -> Iterator[Sequence]:
        """Who is to be admitted next. Whoever was not, must have begun or be held when the next is asked for."""
        yield from [run.sequence for run in self._suspended.values()]
        while (sequence := self._line.first()) is not None:
            yield sequence

    def _begin(self, sequence: Sequence, foreseen: int) -> None:
        number = sequence.number
        if (run := self._suspended.pop(number, None)) is None:
            self._line.begin(sequence)
            run = Run(sequence, self._steps, foreseen)
        self._running[number] = run
        self._change()

    def _end(self, run: Run) -> None:
        self._line.end(run.sequence)
        self._pace.end(run.foreseen, self._steps - run.since)
        self._freed.append(run.sequence.number)

    def _reads_prompt(self, number: int) -> bool:
        """Whether it waits or runs, and has not read its prompt to the end."""
        run = self._running.get(number)
        return self._line.get(number) is not None or (run is not None and not run.sequence.completion)

    def _hand_on(self, leader: Sequence) -> None:
        """The prompt is read and the cache has it; or the leader has left, and the next takes over."""
        followers = self._line.led_by(leader.number)
        free = followers if leader.completion else followers[:1]
        for follower in free:
            follower.leader = None
            self._line.let_go(follower)
        for follower in followers[len(free) :]:
            follower.leader = followers[0].number

    def _prospects(self) -> dict[int, Prospect]:
        if self._outlook is None:
            begun = [run.sequence for run in (*self._running.values(), *self._suspended.values())]
            self._outlook = outlook(self._line, begun, self._seats, self._reading.steps)
            self._outlook_step = self._steps
        return self._outlook
