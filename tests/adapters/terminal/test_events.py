"""What is typed into the terminal, as events."""

import pytest

from adapters.terminal.events import CONVERSATION, to_event
from adapters.terminal.words import LACKS


@pytest.mark.parametrize(
    ("typed", "kind", "text"),
    [
        ("hello", "message", "hello"),
        ("/help", "help", f"/\n{LACKS}"),
        (" /reset ", "reset", ""),
        ("/stop", "stop", ""),
        ("/persona", "persona", ""),
        ("/persona a pirate", "persona", "a pirate"),
        ("/quit smoking, but how?", "message", "/quit smoking, but how?"),
        ("/etc/passwd", "message", "/etc/passwd"),
    ],
)
def test_typed_text_becomes_kind_and_text(typed: str, kind: str, text: str) -> None:
    event = to_event(typed, message="1", at=0.0)
    assert event is not None
    assert (event.kind, event.text) == (kind, text)


@pytest.mark.parametrize("typed", ["/quit", " /QUIT "])
def test_quit_is_for_the_terminal_itself(typed: str) -> None:
    assert to_event(typed, message="1", at=0.0) is None


def test_everything_typed_in_a_data_folder_is_one_conversation() -> None:
    events = [to_event(text, message=text, at=0.0) for text in ("one", "two")]
    assert {event.conversation for event in events if event} == {CONVERSATION}
    assert str(CONVERSATION) == "terminal/local/chat"
    assert len({event.id for event in events if event}) == 2
