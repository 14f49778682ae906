from core.engine.engine import Caller, Params
from core.engine.line import Line
from core.engine.outlook import Prospect, outlook
from core.engine.sequence import Sequence


def sequence(number: int, room: int, user: str = "") -> Sequence:
    return Sequence(number, (1,), Params(), room, Caller(user))


def foreseen(begun: list[Sequence], waiting: list[Sequence], seats: int) -> dict[int, Prospect]:
    line = Line()
    for each in (*begun, *waiting):
        line.join(each)
    for each in begun:
        line.begin(each)
    return outlook(line, begun, seats, lambda each: each.room)


def test_each_waits_until_one_before_it_ends() -> None:
    running = [sequence(1, room=5), sequence(2, room=20)]
    waiting = [sequence(3, room=7), sequence(4, room=1), sequence(5, room=1)]
    assert foreseen(running, waiting, seats=2) == {3: Prospect(1, 5), 4: Prospect(2, 12), 5: Prospect(3, 13)}


def test_who_finds_a_seat_waits_for_nothing() -> None:
    assert foreseen([sequence(1, room=5)], [sequence(2, room=7)], seats=2) == {2: Prospect(1, 0)}


def test_who_has_more_running_when_a_seat_becomes_free_goes_later() -> None:
    running = [sequence(1, room=5, user="ann"), sequence(2, room=9, user="ann"), sequence(3, room=2, user="bob")]
    waiting = [sequence(4, room=9, user="ann"), sequence(5, room=9, user="bob")]
    assert foreseen(running, waiting, seats=3) == {5: Prospect(1, 2), 4: Prospect(2, 5)}


def test_more_that_have_begun_than_seats_go_first() -> None:
    begun = [sequence(number, room=number) for number in (1, 2, 3)]
    assert foreseen(begun, [sequence(4, room=1)], seats=1) == {4: Prospect(1, 3)}
