"""The scheduler, the places and their caches together, on a memory that really does the copies: whatever comes,
leaves, fails, waits, is suspended, cached or guessed, each completion is the one that the sequence gets alone."""

from collections.abc import Sequence as Row

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.engine.engine import Caller, Params
from core.engine.places import KeyValuePlaces, StatePlaces
from core.engine.scheduler import Batch, Scheduler, SchedulerSettings
from core.engine.sequence import Sequence
from core.errors import Overloaded
from tests.core.engine.memory import KeyValueMemory, Memory, StateMemory, alone

SIZES = ((6, 2), (12, 1), (30, 1))
BLOCK = 4
SETTINGS = SchedulerSettings(max_running=4, max_waiting=6, prefill_budget=7, drafts=3, draft_running=2)

prompts = st.lists(st.integers(0, 1), min_size=1, max_size=18).map(tuple)


class Serving(RuleBasedStateMachine):
    """A step is under way between `begin` and `end`; all else may happen then and at other times."""

    places: KeyValuePlaces | StatePlaces
    memory: Memory

    def __init__(self) -> None:
        super().__init__()
        self.make()
        self.scheduler = Scheduler(SETTINGS, self.places)
        self.alive: dict[int, Sequence] = {}
        self.number = 0
        self.batch: Batch | None = None
        self.outcomes: Row[tuple[int, ...] | None] = []
        self.seen: dict[int, tuple[int, ...]] = {}  # what the runner was told of each sequence's tokens
        self.said: list[tuple[int, ...]] = [(1, 0, 1, 1, 0)]  # prompts with their completions

    def make(self) -> None:
        raise NotImplementedError

    def add(self, prompt: tuple[int, ...], room: int, caller: Caller, leader: int | None = None) -> None:
        self.number += 1
        new = Sequence(self.number, prompt[:20], Params(), room, caller, leader=leader)
        try:
            self.scheduler.add(new)
        except Overloaded:
            assert len(self.alive) >= (SETTINGS.max_running + SETTINGS.max_waiting) // 2
        else:
            self.alive[new.number] = new

    @rule(prompt=prompts, room=st.integers(1, 9), user=st.sampled_from(["", "ann", "bob"]))
    def somebody_comes(self, prompt: tuple[int, ...], room: int, user: str) -> None:
        self.add(prompt, room, Caller(user))

    @rule(data=st.data(), more=prompts, room=st.integers(1, 9))
    def a_conversation_goes_on(self, data: st.DataObject, more: tuple[int, ...], room: int) -> None:
        before = data.draw(st.sampled_from(self.said))
        self.add(before[: data.draw(st.integers(1, len(before)))] + more, room, Caller("ann", "1"))

    @rule(prompt=prompts, room=st.integers(1, 9), user=st.sampled_from(["", "ann"]))
    def three_candidates_are_asked_for(self, prompt: tuple[int, ...], room: int, user: str) -> None:
        leader = self.number + 1
        for candidate in range(3):
            self.add(prompt, room, Caller(user), leader if candidate else None)

    @precondition(lambda self: self.alive)
    @rule(data=st.data())
    def somebody_leaves(self, data: st.DataObject) -> None:
        number = data.draw(st.sampled_from(sorted(self.alive)))
        self.scheduler.remove(number)
        self.scheduler.remove(number)
        del self.alive[number]

    @precondition(lambda self: self.batch is None)
    @rule()
    def begin(self) -> None:
        batch = self.scheduler.schedule()
        for number in batch.freed:
            assert number not in self.alive
            self.seen.pop(number, None)
        self.memory.do(batch.copies)
        chunks = {chunk.number: chunk for chunk in batch.chunks}
        assert len(chunks) == len(batch.chunks) <= SETTINGS.max_running
        assert bool(chunks) == bool(self.alive), "somebody always gets on"
        assert len({chunk.place for chunk in batch.chunks}) == len(chunks)
        reading = 0
        for number, chunk in chunks.items():
            sequence = self.alive[number]
            reading += len(chunk.token_ids) - (sequence.phase == "decode")
            before = sequence.tokens(0, sequence.read)
            assert chunk.start == len(before)
            assert self.memory.holds(chunk.place, chunk.start) == before
            told = self.seen.get(number, ()) + chunk.prefix
            assert told[: chunk.start] == before, "the runner knows every token before the chunk"
            self.seen[number] = before + chunk.token_ids
        assert reading <= SETTINGS.prefill_budget
        self.outcomes = [self.memory.read(chunk) for chunk in batch.chunks]
        self.batch = batch

    @precondition(lambda self: self.batch is not None)
    @rule(fails=st.sampled_from([False] * 5 + [True]))
    def end(self, fails: bool) -> None:
        assert self.batch is not None
        if fails and self.batch.chunks and (failed := self.batch.chunks[0]).number in self.alive:
            self.memory.spoil(failed.place)
            self.outcomes = [None, *self.outcomes[1:]]
            self.scheduler.remove(failed.number, keep=False)
            del self.alive[failed.number]
        for sequence, token_ids in self.scheduler.commit(self.batch, self.outcomes):
            assert sequence is self.alive[sequence.number]
            assert tuple(sequence.completion[-len(token_ids) :]) == token_ids
            if sequence.full:
                assert sequence.completion == alone(sequence.prompt, sequence.room)
                self.said.append(sequence.tokens(0, len(sequence)))
                self.scheduler.remove(sequence.number)
                del self.alive[sequence.number]
        self.batch = None

    @invariant()
    def all_wait_or_run(self) -> None:
        assert self.scheduler.waiting + self.scheduler.running == len(self.alive)
        assert len(self.alive) <= SETTINGS.max_running + SETTINGS.max_waiting
        assert self.places.slots_in_use == self.scheduler.running
        held = [sequence for sequence in self.alive.values() if sequence.place is not None]
        assert len(held) == self.scheduler.running
        places = [self.scheduler.place_in_line(number) for number in self.alive]
        in_line = sorted(place for place in places if place)
        assert in_line == list(range(1, len(in_line) + 1))

    def teardown(self) -> None:
        if self.batch is not None:
            self.end(fails=False)
        for _ in range(500):
            if not self.alive:
                break
            self.begin()
            self.end(fails=False)
        assert not self.alive, "whoever was accepted ends"
        self.begin()
        assert not self.seen
        assert not self.scheduler.schedule()
        assert not self.places.slots_in_use


class ServingFromKeyValues(Serving):
    def make(self) -> None:
        self.places = KeyValuePlaces(SIZES, blocks=6, block=BLOCK, margin=2)
        self.memory = KeyValueMemory([capacity for capacity, _ in SIZES], BLOCK)


class ServingFromStates(Serving):
    def make(self) -> None:
        self.places = StatePlaces(slots=3, blocks=4)
        self.memory = StateMemory()


TestServingFromKeyValues = ServingFromKeyValues.TestCase
TestServingFromKeyValues.settings = settings(max_examples=100, stateful_step_count=60, deadline=None)
TestServingFromStates = ServingFromStates.TestCase
TestServingFromStates.settings = settings(max_examples=40, stateful_step_count=60, deadline=None)
