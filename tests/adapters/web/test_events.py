"""What is typed into the page's box, as events."""

import pytest

from adapters.web.events import conversation_of, key_of_event, to_event
from adapters.web.frames import Say, Stop

ID = "0123456789abcdef"
CHAT = "cafe"


@pytest.mark.parametrize(
    ("typed", "kind", "text"),
    [
        ("hello", "message", "hello"),
        ("/help", "help", ""),
        ("/START", "start", ""),
        ("  /reset \n", "reset", ""),
        ("/stop", "stop", ""),
        ("/persona", "persona", ""),
        ("/persona You are a pirate.\nAlways.", "persona", "You are a pirate.\nAlways."),
        ("/reset the counter, please", "message", "/reset the counter, please"),
        ("/etc/passwd", "message", "/etc/passwd"),
        ("say /reset", "message", "say /reset"),
        ("/helpme", "message", "/helpme"),
        ("", "message", ""),
    ],
)
def test_typed_text_becomes_kind_and_text(typed: str, kind: str, text: str) -> None:
    event = to_event(Say(ID, typed), CHAT, at=5.0)
    assert (event.kind, event.text) == (kind, text)


def test_event_names_browser_and_message_and_is_the_same_when_sent_again() -> None:
    first, again = (to_event(Say(ID, "hello"), CHAT, at=at) for at in (1.0, 2.0))
    assert first.id == again.id == f"web/local/{CHAT}/{ID}"
    assert first.message == ID
    assert first.conversation == conversation_of(CHAT)
    assert first.room.address == {"chat": CHAT}


def test_two_browsers_never_share_an_event_or_a_conversation() -> None:
    ann, bob = (to_event(Say(ID, "hello"), chat, at=0.0) for chat in ("ann", "bob"))
    assert ann.id != bob.id
    assert ann.conversation != bob.conversation


@pytest.mark.parametrize(("frame", "key"), [(Say(ID, "hi"), ID), (Say(ID, "/reset"), f"{ID}/reset")])
def test_page_knows_an_event_by_the_id_that_it_made(frame: Say, key: str) -> None:
    assert key_of_event(to_event(frame, CHAT, at=0.0).id, CHAT) == key


def test_stop_button_is_an_event_of_its_own() -> None:
    event = to_event(Stop(ID), CHAT, at=0.0)
    assert (event.kind, event.id) == ("stop", f"web/local/{CHAT}/{ID}/stop")
