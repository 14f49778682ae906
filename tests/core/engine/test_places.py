from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from core.engine.engine import Params
from core.engine.places import KeyValuePlaces, Load, Move, Place, Places, Save, StatePlaces
from core.engine.scheduler import Chunk
from core.engine.sequence import Sequence
from tests.core.engine.memory import KeyValueMemory, Memory, StateMemory


def sequence(number: int, *prompt: int, room: int = 4) -> Sequence:
    return Sequence(number, prompt, Params(), room)


def read(places: Places, each: Sequence) -> None:
    """It was admitted, and the model reads all of it."""
    assert places.admit(each)
    each.read = len(each)


def test_a_conversation_that_goes_on_loads_what_was_read_of_it() -> None:
    places = KeyValuePlaces([(32, 2)], blocks=8, block=4)
    before = sequence(1, 1, 2, 3, 4, 5, 6)
    read(places, before)
    places.keep(before)
    places.release(before)
    after = sequence(2, 1, 2, 3, 4, 5, 6, 7)
    assert places.admit(after)
    saved, tail, *loads = places.copies()
    assert isinstance(saved, Save)
    assert isinstance(tail, Save)
    assert loads == [Load(saved.block, Place(0, 0), 0, 4), Load(tail.block, Place(0, 0), 4, 2)]
    assert (after.read, after.cached) == (6, 6)
    assert places.copies() == ()


def test_one_token_is_left_to_sample_from() -> None:
    for places in (KeyValuePlaces([(32, 2)], blocks=8, block=4), StatePlaces(2, 8)):
        for number in (1, 2):
            each = sequence(number, 1, 2, 3, 4)
            read(places, each)
            places.keep(each)
            assert each.cached == (3 if number == 2 and places.rewinds else 0)


def test_the_smallest_slot_with_a_margin_is_taken() -> None:
    places = KeyValuePlaces([(8, 1), (32, 2)], blocks=0, margin=3)
    tight, small, late = sequence(1, *range(6), room=9), sequence(2, *range(5), room=9), sequence(3, 1)
    for each in (tight, small, late):
        assert places.admit(each)
    assert (tight.place, small.place, late.place) == (Place(1, 0), Place(0, 0), Place(1, 1))


def test_no_margin_is_asked_for_that_is_never_needed() -> None:
    places = KeyValuePlaces([(8, 1), (32, 2)], blocks=0, margin=3)
    each = sequence(1, *range(8), room=1)
    assert places.admit(each)
    assert each.place == Place(0, 0)


def test_one_that_outgrows_its_slot_moves_into_a_larger_one() -> None:
    places = KeyValuePlaces([(8, 1), (32, 1)], blocks=0, margin=0)
    first, second = sequence(1, *range(8), room=9), sequence(2, *range(8), room=9)
    read(places, first)
    assert places.grow(first, 8)
    assert places.grow(first, 9)
    assert places.copies() == (Move(Place(0, 0), Place(1, 0), 8),)
    read(places, second)
    assert not places.grow(second, 9)
    assert second.place == Place(0, 0)
    assert not places.admit(sequence(3, 1))
    places.release(first)
    assert places.grow(second, 9)
    assert places.slots_in_use == 1


def test_a_state_is_found_only_by_what_begins_with_all_that_it_read() -> None:
    places = StatePlaces(2, 4)
    before = sequence(1, 1, 2, 3)
    read(places, before)
    places.keep(before)
    places.release(before)
    assert places.admit(other := sequence(2, 1, 2, 9, 9))
    assert places.admit(after := sequence(3, 1, 2, 3, 4))
    assert (other.read, after.read) == (0, 3)
    assert not places.admit(sequence(4, 1))
    assert places.blocks_in_use == 1


class Keeping(RuleBasedStateMachine):
    """Sequences come and go in any order; copies are done only before the model reads."""

    places: KeyValuePlaces | StatePlaces
    memory: Memory
    slots: int

    def __init__(self) -> None:
        super().__init__()
        self.make()
        self.placed: dict[int, Sequence] = {}
        self.number = 0
        self.known: list[tuple[int, ...]] = [(0, 1)]

    def make(self) -> None:
        raise NotImplementedError

    @rule(data=st.data(), more=st.lists(st.integers(0, 1), min_size=1, max_size=12), room=st.integers(1, 8))
    def admit(self, data: st.DataObject, more: list[int], room: int) -> None:
        before = data.draw(st.sampled_from(self.known))
        self.number += 1
        prompt = (before[: data.draw(st.integers(0, len(before)))] + tuple(more))[:16]
        each = sequence(self.number, *prompt, room=room)
        if self.places.admit(each):
            assert each.read == each.cached < len(prompt)
            self.placed[each.number] = each
        else:
            assert self.placed
            assert (each.place, each.read) == (None, 0)

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), most=st.integers(1, 6))
    def step(self, data: st.DataObject, most: int) -> None:
        """One of them reads on; what it says is none of our business here."""
        each = self.placed[data.draw(st.sampled_from(sorted(self.placed)))]
        if each.full or not self.places.grow(each, len(each)):
            return
        self.memory.do(self.places.copies())
        self.check()
        assert each.place is not None
        token_ids = each.tokens(each.read, each.read + most)
        self.memory.read(Chunk(each.number, each.place, each.read, token_ids, 0, each.params))
        each.read += len(token_ids)
        if not each.unread:
            each.completion.append(each.number % 2)

    @precondition(lambda self: self.placed)
    @rule(data=st.data())
    def keep(self, data: st.DataObject) -> None:
        each = self.placed[data.draw(st.sampled_from(sorted(self.placed)))]
        self.places.keep(each)
        self.known.append(each.tokens(0, len(each)))

    @precondition(lambda self: self.placed)
    @rule(data=st.data(), keeps=st.booleans())
    def release(self, data: st.DataObject, keeps: bool) -> None:
        each = self.placed.pop(data.draw(st.sampled_from(sorted(self.placed))))
        if keeps:
            self.places.keep(each)
            self.known.append(each.tokens(0, len(each)))
        self.places.release(each)
        assert (each.place, each.read) == (None, 0)

    @invariant()
    def a_slot_has_one_owner(self) -> None:
        places = {each.place for each in self.placed.values()}
        assert None not in places
        assert len(places) == len(self.placed) == self.places.slots_in_use

    def check(self) -> None:
        for each in self.placed.values():
            assert each.place is not None
            assert self.memory.holds(each.place, each.read) == each.tokens(0, each.read)

    def teardown(self) -> None:
        self.memory.do(self.places.copies())
        self.check()
        for each in self.placed.values():
            self.places.release(each)
        everybody = [sequence(number, 1) for number in range(self.slots)]
        assert all(self.places.admit(each) for each in everybody)
        assert not self.places.admit(sequence(0, 1))


class KeepingKeyValues(Keeping):
    slots = 4

    def make(self) -> None:
        self.places = KeyValuePlaces([(6, 2), (12, 1), (23, 1)], blocks=7, block=4, margin=1)
        self.memory = KeyValueMemory([6, 12, 23], 4)


class KeepingStates(Keeping):
    slots = 3

    def make(self) -> None:
        self.places = StatePlaces(3, 3)
        self.memory = StateMemory()


TestKeepingKeyValues = KeepingKeyValues.TestCase
TestKeepingKeyValues.settings = settings(max_examples=60, stateful_step_count=50, deadline=None)
TestKeepingStates = KeepingStates.TestCase
TestKeepingStates.settings = settings(max_examples=40, stateful_step_count=50, deadline=None)
