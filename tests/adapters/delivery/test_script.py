"""A reply that takes the place of what stands in the room already, step by step."""

from collections.abc import Sequence

from adapters.delivery.script import SURPLUS, Script, Step
from core.turns import Control, Draft, Part

STOP, AGAIN = (Control("stop", "stop"),), (Control("regenerate", "again"),)


def script(replaces: Sequence[str] = (), parts: Sequence[Part] = (), limit: int = 100) -> Script:
    return Script(parts, limit, len, replaces=replaces, skip=False)


def step(script: Script, draft: Draft) -> Step:
    found = script.next(draft)
    assert found is not None
    return found


def test_messages_that_stand_there_are_edited_and_then_recorded() -> None:
    ours = script(["m1"])
    edit = step(ours, Draft("new", final=True))
    assert (edit.call, ours.message(edit), edit.source) == ("edit", "m1", "new")
    ours.recorded(edit)
    assert ours.edited(edit), "which message it is has yet to be recorded"
    assert ours.next(Draft("new", final=True)) is None


def test_takeover_between_record_and_edit_sends_nothing_new() -> None:
    ours = script(["m1"], [Part("ne", 2, None)])
    edit = step(ours, Draft("new", final=True))
    assert (edit.call, ours.message(edit)) == ("edit", "m1")


def test_longer_answer_goes_on_in_a_new_message_and_a_shorter_one_leaves_a_mark() -> None:
    longer = script(["m1"], limit=10)
    calls = []
    draft = Draft("one two three four", final=True)
    while (each := longer.next(draft)) is not None:
        calls.append(each.call)
        longer.recorded(each)
        if each.call == "send":
            longer.sent(each, "m2")
        else:
            longer.edited(each)
    assert calls == ["edit", "send"]
    shorter = script(["m1", "m2"])
    first = step(shorter, Draft("one", final=True))
    shorter.recorded(first)
    shorter.edited(first)
    rest = step(shorter, Draft("one", final=True))
    assert (rest.call, shorter.message(rest), rest.source) == ("edit", "m2", SURPLUS)


def test_other_controls_are_an_edit_and_only_the_last_part_has_any() -> None:
    ours = script(limit=10)
    send = step(ours, Draft("one", controls=STOP))
    assert send.controls == STOP
    ours.recorded(send)
    ours.sent(send, "m1")
    assert ours.next(Draft("one", controls=STOP)) is None
    edit = step(ours, Draft("one", final=True, controls=AGAIN))
    assert (edit.call, edit.controls) == ("edit", AGAIN)
    first = step(ours, Draft("one two three", final=True, controls=AGAIN))
    assert (first.call, first.controls) == ("edit", ())


def test_part_is_previewed_until_it_is_whole_and_sent_then() -> None:
    ours = Script([], 10, len, skip=False, previews=True)
    preview = step(ours, Draft("one"))
    assert (preview.call, preview.source) == ("preview", "one")
    ours.previewed(preview)
    assert ours.is_visible
    assert ours.next(Draft("one")) is None
    assert step(ours, Draft("one two")).call == "preview"
    send = step(ours, Draft("one two three"))
    assert (send.call, send.part) == ("send", 0), "the next part has begun"
    ours.recorded(send)
    ours.sent(send, "m1")
    assert (step(ours, Draft("one two three")).call, step(ours, Draft("one two three", final=True)).call) == (
        "preview",
        "send",
    )


def test_message_that_streams_is_told_when_it_is_whole() -> None:
    ours = Script([], 100, len, skip=False, streams=True)
    send = step(ours, Draft("one"))
    assert send.grows
    ours.recorded(send)
    ours.sent(send, "m1")
    assert ours.next(Draft("one")) is None
    last = step(ours, Draft("one", final=True))
    assert (last.call, last.source, last.grows) == ("edit", "one", False)
    ours.recorded(last)
    ours.edited(last)
    assert ours.next(Draft("one", final=True)) is None
    waiting = Script([], 100, len, skip=False, streams=True)
    assert not step(waiting, Draft("second in line", pending=True)).grows
