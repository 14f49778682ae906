"""What is for us, and what it says; from payloads as the platform sends them."""

import json
from pathlib import Path

import pytest
from telegram import Update, User

from adapters.telegram.events import LACKS, Address, message_id, moved, to_event
from adapters.telegram.settings import Debounce
from core.turns import Conversation, Event, Room

PAYLOADS = Path(__file__).parents[2] / "payloads" / "telegram"
US = User(7000, "Trialogue", is_bot=True, username="trialogue_bot")


def update(name: str) -> Update:
    return Update.de_json(json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8")))


def event(name: str) -> Event:
    found = to_event(update(name), US)
    assert found is not None
    return found


@pytest.mark.parametrize(
    "name",
    [
        "group_overheard",
        "group_mention_of_another",
        "group_command_of_another_bot",
        "group_reply_to_a_person",
        "group_other_bot",
        "group_ourselves",
        "group_via_inline_bot",
        "group_forwarded_channel_post",
        "group_member_joined",
        "channel_post",
        "topic_overheard",
        "migrated_to",
        "migrated_from",
    ],
)
def test_not_for_us(name: str) -> None:
    assert to_event(update(name), US) is None


@pytest.mark.parametrize(
    ("name", "kind", "text"),
    [
        ("private_text", "message", "how are you"),
        ("private_right_to_left", "message", "שלום, מה שלומך? 👩‍👩‍👧‍👦"),
        ("private_start_deep_link", "start", ""),
        ("private_persona", "persona", "a pirate\nwho rhymes"),
        ("private_unknown_command", "message", "/frobnicate now"),
        ("group_mention", "message", "😀 hey what about   beans?"),
        ("group_mention_only", "message", ""),
        ("group_mention_in_caption", "message", "look"),
        ("group_text_mention", "message", ", ask @Bob"),
        ("group_command", "reset", ""),
        ("group_command_with_our_name", "help", f"/\n{LACKS}"),
        ("group_unknown_command_with_our_name", "message", "/rain tomorrow"),
        ("group_reply_to_us", "message", "and then?"),
        ("group_anonymous_admin", "message", "hello"),
        ("topic_mention", "message", "beans?"),
        ("edited_message", "edit", "how are you now"),
    ],
)
def test_what_it_says(name: str, kind: str, text: str) -> None:
    assert (event(name).kind, event(name).text) == (kind, text)


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("private_text", ()),
        ("private_photo", ("image",)),
        ("private_voice", ("voice",)),
        ("private_animation", ("video",)),
        ("group_mention_in_caption", ("image",)),
    ],
)
def test_what_came_with_it(name: str, files: tuple[str, ...]) -> None:
    assert event(name).files == files


def test_event_names_bot_chat_and_message() -> None:
    found = event("private_text")
    assert found.id == "telegram/7000/1000/101"
    assert found.message == message_id(1000, 101) == "1000/101"
    assert (found.speaker.id, found.speaker.name) == ("1000", "Ann Lee")
    assert found.at == 1767224888.0


def test_pictures_of_an_album_wait_for_one_another() -> None:
    first, second = event("private_album_item"), event("private_album_second_item")
    assert (first.more_within, second.more_within) == (1.0, 1.0)
    assert first.id != second.id
    assert event("private_photo").more_within == 0.0


def test_pictures_of_an_album_that_say_nothing_are_one_event_where_nothing_waits() -> None:
    at_once = Debounce(seconds=0)
    first, second = (
        to_event(update(name), US, debounce=at_once)
        for name in ("private_album_item", "private_album_second_item")
    )
    assert first is not None
    assert second is not None
    assert (first.id, first.more_within) == (second.id, 0.0)
    assert event("private_photo").id != event("private_photo_with_caption").id


@pytest.mark.parametrize(
    ("text", "units", "waits"),
    [
        ("x" * 2047, 2048, 0.0),
        ("x" * 2048, 2048, 0.5),
        ("😀" * 1024, 2048, 0.5),  # two UTF-16 units each
        ("short", 0, 0.5),
        ("/reset " + "x" * 4000, 2048, 0.0),
    ],
)
def test_text_that_may_be_a_piece_waits_for_the_next_one(text: str, units: int, waits: float) -> None:
    payload = json.loads((PAYLOADS / "private_text.json").read_text(encoding="utf-8"))
    payload["message"] |= {"text": text, "entities": []}
    found = to_event(Update.de_json(payload), US, debounce=Debounce(seconds=0.5, units=units))
    assert found is not None
    assert found.more_within == waits


def test_message_in_a_group_waits_for_nothing() -> None:
    found = to_event(update("group_mention"), US, debounce=Debounce(units=0))
    assert found is not None
    assert found.more_within == 0.0


def test_anonymous_administrator_speaks_as_the_group() -> None:
    assert event("group_anonymous_admin").speaker.name == "Garden club"


@pytest.mark.parametrize(
    ("name", "address"),
    [
        ("private_text", Address(1000, None, None)),
        ("group_command", Address(-1001234567890, None, 118)),
        ("topic_mention", Address(-1001234567890, 55, 133)),
        ("general_topic_mention", Address(-1001234567890, None, 134)),
        ("group_chain_of_replies", Address(-1001234567890, None, 135)),
    ],
)
def test_where_the_answer_goes(name: str, address: Address) -> None:
    assert Address.of(event(name).room) == address


def test_topic_is_a_conversation_of_its_own() -> None:
    topic, general = event("topic_mention"), event("general_topic_mention")
    assert topic.conversation.thread == "55"
    assert general.conversation.thread == ""
    assert topic.conversation.place == general.conversation.place == event("group_mention").conversation.place


def test_supergroup_keeps_the_conversation_of_the_group_it_was() -> None:
    found = to_event(update("group_mention"), US, place=-4242)
    assert found is not None
    assert found.conversation == Conversation.of(Room("telegram", "7000", {}), -4242)
    assert Address.of(found.room).chat == -1001234567890


def test_both_chats_of_a_migration_tell_of_it() -> None:
    assert moved(update("migrated_to")) == moved(update("migrated_from")) == (-4242, -1001234567890)
    assert moved(update("private_text")) is None


def test_locale_is_that_of_the_persons_app() -> None:
    assert event("group_command_with_our_name").locale == "en"
