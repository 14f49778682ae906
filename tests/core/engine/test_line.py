from hypothesis import given
from hypothesis import strategies as st

from core.engine.engine import IN_IDLE_TIME, Caller, Params
from core.engine.line import Line
from core.engine.sequence import Sequence


def sequence(number: int, user: str = "", conversation: str = "") -> Sequence:
    return Sequence(number, (1,), Params(), 1, Caller(user, conversation))


def line(*sequences: Sequence) -> Line:
    made = Line()
    for each in sequences:
        made.join(each)
    return made


def first(made: Line) -> int | None:
    each = made.first()
    return each.number if each is not None else None


def order(made: Line) -> list[int]:
    """In which all that wait begin when nobody ends."""
    numbers = []
    while (each := made.first()) is not None:
        made.begin(each)
        numbers.append(each.number)
    return numbers


def test_whoever_came_first_is_first() -> None:
    assert order(line(sequence(1), sequence(2), sequence(3))) == [1, 2, 3]


def test_the_second_chat_of_one_person_waits_for_the_first_of_nine_others() -> None:
    many = [sequence(number, "ann", f"chat {number}") for number in range(10)]
    others = [sequence(number, f"user {number}") for number in range(10, 19)]
    assert order(line(*many, *others)) == [0, *range(10, 19), *range(1, 10)]


def test_where_one_runs_at_a_time_users_take_turns_and_so_do_their_conversations() -> None:
    made = line(*(sequence(number, "ann", "xxyyzz"[number]) for number in range(6)), sequence(6, "bob"))
    served = []
    for newcomer in range(7, 14):
        each = made.first()
        assert each is not None
        made.begin(each)
        made.end(each)
        served.append(each.number)
        if newcomer < 9:
            made.join(sequence(newcomer, f"user {newcomer}"))
    assert served == [0, 6, 2, 7, 8, 4, 1]


def test_one_busy_conversation_of_a_person_waits_for_the_others_of_the_same_person() -> None:
    busy = [sequence(number, "ann", "busy") for number in (1, 2, 3)]
    assert order(line(*busy, sequence(4, "ann", "quiet"))) == [1, 4, 2, 3]


def test_who_runs_counts_until_it_ends() -> None:
    running = sequence(1, "ann")
    made = line(running)
    made.begin(running)
    made.join(sequence(2, "ann"))
    made.join(sequence(3, "bob"))
    assert first(made) == 3
    made.end(running)
    assert order(made) == [2, 3]


def test_callers_without_a_name_are_users_of_their_own() -> None:
    assert order(line(sequence(1), sequence(2), sequence(3, "ann"))) == [1, 2, 3]


def test_who_is_held_is_not_next_and_keeps_its_place() -> None:
    held = sequence(1)
    made = line(held, sequence(2), sequence(3))
    made.hold(held)
    assert first(made) == 2
    assert order(made.copy()) == [1, 2, 3]
    made.let_go(held)
    assert order(made) == [1, 2, 3]
    assert len(made) == 0


def test_who_left_is_not_next() -> None:
    gone = sequence(1, "ann")
    made = line(gone, sequence(2, "ann"), sequence(3, "bob"))
    assert made.beside(gone) == 2
    made.leave(gone)
    assert made.get(1) is None
    assert made.beside(gone) == 1
    assert order(made) == [2, 3]


def test_a_copy_lives_its_own_life() -> None:
    made = line(sequence(1), sequence(2))
    assert order(made.copy()) == [1, 2]
    assert len(made) == 2


@given(
    st.lists(
        st.tuples(st.sampled_from(["join", "begin", "end", "leave", "hold", "let go"]), st.integers(0, 99)),
        max_size=150,
    )
)
def test_the_first_is_the_one_that_the_rule_names(history: list[tuple[str, int]]) -> None:
    made = Line()
    waiting: dict[int, Sequence] = {}
    running: list[Sequence] = []
    held: set[int] = set()
    served: dict[str | Caller, int] = {}  # when a user or a conversation came or was last served

    def rank(each: Sequence) -> tuple[int, ...]:
        return (
            sum(other.caller.user == each.caller.user for other in running),
            served[each.caller.user],
            sum(other.caller == each.caller for other in running),
            served[each.caller],
            each.number,
        )

    for number, (what, chosen) in enumerate(history):
        if what == "join":
            new = sequence(number, "abc"[chosen % 3], "xy"[chosen % 2])
            if all(other.caller.user != new.caller.user for other in waiting.values()):
                served[new.caller.user] = number
            if all(other.caller != new.caller for other in waiting.values()):
                served[new.caller] = number
            waiting[number] = new
            made.join(new)
        elif what == "end" and running:
            made.end(running.pop(chosen % len(running)))
        elif what != "end" and waiting:
            each = waiting[sorted(waiting)[chosen % len(waiting)]]
            if what == "hold":
                held.add(each.number)
                made.hold(each)
                continue
            held.discard(each.number)
            if what == "let go":
                made.let_go(each)
            elif what == "leave":
                made.leave(waiting.pop(each.number))
            else:
                served[each.caller.user] = served[each.caller] = number
                running.append(waiting.pop(each.number))
                made.begin(each)
        free = [each for number, each in waiting.items() if number not in held]
        assert made.first() is min(free, key=rank, default=None)
        assert len(made) == len(waiting)


def test_a_long_life_leaves_nothing_behind() -> None:
    made = line(sequence(0, "first"))
    for number in range(1, 5000):
        each = sequence(number, f"user {number % 7}")
        made.join(each)
        made.begin(each)
        if number % 3:
            made.end(each)
        else:
            made.join(again := sequence(10_000 + number, f"user {number % 7}"))
            made.end(each)
            made.leave(again)
    assert len(made._ranks) < 200
    assert (len(made._users), len(made._conversations), len(made._of_user)) == (1, 1, 1)


def test_what_nobody_waits_for_comes_after_all_who_wait() -> None:
    idle = [Sequence(number, (1,), Params(), 1, IN_IDLE_TIME) for number in (1, 2)]
    made = line(*idle, sequence(3, "ann", "a"), sequence(4, "ann", "b"), sequence(5))
    assert order(made.copy()) == order(made) == [3, 5, 4, 1, 2]
