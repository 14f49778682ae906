"""Slack's payloads into events. The files are sanitised, in the shape that Slack pushes."""

import json
from pathlib import Path
from typing import Any

import msgspec
import pytest

from adapters.slack.events import BANG, LACKS, Account, to_event
from core.turns import Conversation, Event

PAYLOADS = Path(__file__).parents[2] / "payloads" / "slack"
ME = Account("T0TRIALOGUE", "U0TRIALOGUE")
NAMES = {"U0ANN": "Ann", "U0BOB": "Bob"}


def inner(name: str) -> dict[str, Any]:
    return dict(json.loads((PAYLOADS / f"{name}.json").read_text(encoding="utf-8"))["event"])


def event_of(name: str, *, taking_part: bool = False, **changes: Any) -> Event | None:
    return to_event(inner(name) | changes, ME, NAMES, taking_part=taking_part)


def taken(name: str, *, taking_part: bool = False, **changes: Any) -> Event:
    event = event_of(name, taking_part=taking_part, **changes)
    assert event is not None
    return event


def test_direct_message_is_one_conversation() -> None:
    event = taken("direct_message")
    assert (event.kind, event.text, event.message) == ("message", "hello there", "1771442483.260129")
    assert event.conversation == Conversation("slack/T0TRIALOGUE-U0TRIALOGUE/D0ANN")
    assert event.room.address == {"channel": "D0ANN", "thread": None, "since": "1771442483.260129"}
    assert (event.speaker.id, event.speaker.name, event.at) == ("U0ANN", "Ann", 1771442483.260129)


def test_thread_in_a_direct_message_is_its_own_conversation() -> None:
    event = taken("direct_message_in_thread")
    assert event.conversation.thread == "1771442483.260129"
    assert event.room.address["thread"] == "1771442483.260129"


def test_mention_in_a_channel_begins_the_thread_under_it() -> None:
    event = taken("mention_as_message")
    assert event.text == "Can you see #plans, @Bob?"
    assert event.conversation == Conversation("slack/T0TRIALOGUE-U0TRIALOGUE/C0GENERAL", "1771442483.260129")
    assert event.room.address["thread"] == "1771442483.260129"


def test_mention_is_the_same_event_both_times_it_comes() -> None:
    assert taken("mention_as_message") == taken("mention_as_app_mention")


def test_id_names_platform_account_channel_and_message() -> None:
    assert taken("direct_message").server == "T0TRIALOGUE"
    assert taken("direct_message").id == "slack:T0TRIALOGUE-U0TRIALOGUE:D0ANN:1771442483.260129"


@pytest.mark.parametrize(
    "name",
    [
        "channel_message",
        "thread_reply",
        "message_changed",
        "message_deleted",
        "bot_message",
        "app_message",
        "own_message",
        "channel_join",
        "slackbot_message",
        "reaction_added",
    ],
)
def test_what_is_not_for_us_makes_no_event(name: str) -> None:
    assert event_of(name) is None


def test_bots_are_not_answered_in_threads_either() -> None:
    assert event_of("bot_message", taking_part=True) is None
    assert event_of("own_message", taking_part=True) is None


def test_thread_that_the_bot_is_part_of_needs_no_mention() -> None:
    assert taken("thread_reply", taking_part=True).conversation.thread == "1771442483.260129"


def test_reply_under_a_message_of_the_bot_is_for_it() -> None:
    assert taken("thread_under_the_bot").text == "why?"


def test_thread_reply_that_is_also_sent_to_the_channel_stays_in_its_thread() -> None:
    event = taken("thread_broadcast")
    assert (event.text, event.conversation.thread) == ("all should see this", "1771442483.260129")


def test_group_message_is_taken_when_it_mentions_the_bot() -> None:
    assert taken("group_message").text == "you there?"
    assert event_of("group_message", text="among us") is None


def test_files_are_named_by_kind() -> None:
    event = taken("file_share")
    assert (event.text, event.files) == ("", ("image", "voice", "file"))


def test_empty_message_is_an_event_without_text() -> None:
    assert taken("mention_as_message", text="<@U0TRIALOGUE>").text == ""
    assert taken("direct_message", text=None).text == ""


@pytest.mark.parametrize(
    ("text", "kind", "rest"),
    [
        ("!help", "help", f"{BANG}\n{LACKS}"),
        ("!help me", "help", f"{BANG}\n{LACKS}"),
        ("!reset", "reset", ""),
        ("!STOP", "stop", ""),
        ("!persona", "persona", ""),
        ("!persona You are a pirate.\nArr.", "persona", "You are a pirate.\nArr."),
        ("!unknown thing", "message", "!unknown thing"),
        ("well !help", "message", "well !help"),
    ],
)
def test_bang_commands(text: str, kind: str, rest: str) -> None:
    event = taken("direct_message", text=text)
    assert (event.kind, event.text) == (kind, rest)


def test_bang_command_may_follow_the_mention() -> None:
    assert taken("mention_as_message", text="<@U0TRIALOGUE> !reset").kind == "reset"


@pytest.mark.parametrize(
    "broken",
    [{"channel": 7}, {"ts": None}, {"ts": "yesterday"}, {"text": ["no"]}, {"files": {"a": 1}}, {"user": 5}],
    ids=str,
)
def test_event_that_is_none_is_refused_and_not_guessed_at(broken: dict[str, Any]) -> None:
    with pytest.raises((msgspec.ValidationError, ValueError)):
        event_of("direct_message", **broken)


def test_no_text_and_no_name_shows_in_a_repr() -> None:
    assert "hello" not in repr(taken("direct_message"))
    assert "Ann" not in repr(taken("direct_message"))
