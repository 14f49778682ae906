"""What is typed into the page's box, as events."""

import pytest

from adapters.web.events import Chat, exchange_of, key_of_event, kind_of_key, to_event
from adapters.web.frames import Act, Edit, Say, Stop

ID = "0123456789abcdef"
CHAT, OTHER = Chat("cafe"), Chat("cafe", "feedfeed")


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


@pytest.mark.parametrize(("chat", "stem"), [(CHAT, "web/local/cafe/"), (OTHER, "web/local/cafe/feedfeed/")])
def test_event_names_owner_and_message_and_is_the_same_when_sent_again(chat: Chat, stem: str) -> None:
    first, again = (to_event(Say(ID, "hello"), chat, at=at) for at in (1.0, 2.0))
    assert first.id == again.id == f"{stem}{ID}"
    assert first.message == ID
    assert first.conversation == chat.conversation
    assert first.speaker.id == "cafe"


def test_conversations_of_an_owner_share_their_place_and_nothing_else() -> None:
    assert CHAT.conversation.place == OTHER.conversation.place
    assert CHAT.conversation != OTHER.conversation
    assert to_event(Say(ID, "hello"), CHAT, at=0.0).id != to_event(Say(ID, "hello"), OTHER, at=0.0).id


def test_two_browsers_never_share_an_event_or_a_conversation() -> None:
    ann, bob = (to_event(Say(ID, "hello"), chat, at=0.0) for chat in (Chat("ann"), Chat("bob")))
    assert ann.id != bob.id
    assert ann.conversation != bob.conversation


@pytest.mark.parametrize(("frame", "key"), [(Say(ID, "hi"), ID), (Say(ID, "/reset"), f"{ID}/reset")])
def test_page_knows_an_event_by_the_id_that_it_made(frame: Say, key: str) -> None:
    assert key_of_event(to_event(frame, CHAT, at=0.0).id, CHAT) == key


def test_stop_button_is_an_event_of_its_own() -> None:
    event = to_event(Stop(ID), CHAT, at=0.0)
    assert (event.kind, event.id) == ("stop", f"web/local/cafe/{ID}/stop")


def test_what_is_done_with_an_answer_is_drawn_where_it_stands() -> None:
    asked, act, vote, edit = (
        "a" * 16,
        Act(ID, "a" * 16, "regenerate"),
        Act(ID, "a" * 16, "up"),
        Edit(ID, "a" * 16, "x"),
    )
    for frame, kind, text in ((act, "act", "regenerate"), (vote, "vote", "up"), (edit, "edit", "x")):
        event = to_event(frame, OTHER, at=0.0)
        key = key_of_event(event.id, OTHER)
        assert (event.kind, event.text, kind_of_key(key), exchange_of(key)) == (kind, text, kind, asked)
        assert event.target == (asked if kind == "edit" else OTHER.answer_to(asked))
    assert (exchange_of(ID), exchange_of(f"{ID}/reset")) == (ID, f"{ID}/reset")
    assert (kind_of_key(ID), kind_of_key(f"{ID}/reset")) == ("message", "reset")
