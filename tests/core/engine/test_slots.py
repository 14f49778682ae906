import pytest

from core.engine.slots import Place, Slots


def test_the_smallest_free_slot_that_holds_the_tokens_is_taken_the_lowest_first() -> None:
    slots = Slots([(8, 2), (32, 1)])
    assert [slots.take(8) for _ in range(4)] == [Place(0, 0), Place(0, 1), Place(1, 0), None]
    slots.give_back(Place(0, 1))
    slots.give_back(Place(0, 0))
    assert slots.take(9) is None
    assert slots.take(1) == Place(0, 0)
    assert slots.in_use == 2


@pytest.mark.parametrize("sizes", [[], [(8, 1), (8, 1)], [(32, 1), (8, 1)], [(8, 0)], [(0, 1)]])
def test_size_classes_that_make_no_sense_are_refused(sizes: list[tuple[int, int]]) -> None:
    with pytest.raises(ValueError, match="size classes"):
        Slots(sizes)
