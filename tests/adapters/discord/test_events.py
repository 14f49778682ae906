"""Payloads as Discord sends them, and what they mean to us."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from adapters.discord.events import Place, to_command, to_delete, to_event
from core.commands import ABOUT_THIS
from core.scope import Scope, scoped
from core.turns import Event

ME = "1457469483726668048"
ROLE = "1457473602180878604"
CHANNEL = "1457510428359004343"
THREAD = "1457536551830421524"
DIRECT = "1459213904352649999"
MESSAGE = "1457536647464747051"
FOLDER = Path(__file__).parents[2] / "payloads" / "discord"

CHANNEL_PLACE = Place(roles=frozenset({ROLE}))
OUR_THREAD = Place(thread=True, parent=CHANNEL, ours=True)
OTHER_THREAD = Place(thread=True, parent=CHANNEL)


def payload(name: str) -> dict[str, Any]:
    loaded: dict[str, Any] = json.loads((FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return loaded


def event(name: str, place: Place = CHANNEL_PLACE) -> Event | None:
    return to_event(payload(name), ME, place)


def heard(name: str, place: Place = CHANNEL_PLACE) -> Event:
    found = event(name, place)
    assert found is not None
    return found


def command(name: str) -> Event:
    found = to_command(payload(name), ME)
    assert found is not None
    return found


def test_mention_in_a_channel_is_for_us() -> None:
    found = heard("mention")
    assert found.id == f"discord/{ME}/{CHANNEL}/{MESSAGE}"
    assert (found.kind, found.text, found.message) == ("message", "What is love?", MESSAGE)
    assert (found.speaker.id, found.speaker.name) == ("1033044521375764530", "Ann")
    assert (found.conversation.place, found.conversation.thread) == (f"discord/{ME}/{CHANNEL}", "")
    assert found.room.address == {"channel": CHANNEL, "reply_to": MESSAGE}
    assert found.at == pytest.approx(1767574216.4, abs=1)
    assert found.server == "1457468924290662599"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("mention_by_old_clients", "Tell me, , what is love?"),
        ("role_mention", "still there?"),
        ("reply", "and then?"),
        ("reply_without_ping", "and then?"),
    ],
)
def test_who_calls_us_is_answered_without_our_name(name: str, text: str) -> None:
    assert heard(name).text == text


@pytest.mark.parametrize("name", ["overheard", "everyone", "reply_to_deleted"])
def test_what_is_said_to_others_is_not_for_us(name: str) -> None:
    assert event(name) is None


@pytest.mark.parametrize("name", ["own", "other_bot", "webhook", "joined", "pinned", "direct_by_system"])
def test_only_words_of_people_are_for_us(name: str) -> None:
    assert event(name) is None


def test_other_mentions_become_names() -> None:
    names = {"1457473602180870000": "admins", "1457510428359004344": "kitchen"}
    found = heard("names", Place(names=names))
    assert found.text == "ask @Bobby, @admins and #kitchen about :party: /help"


def test_unknown_names_are_still_no_numbers() -> None:
    assert heard("names", Place()).text == "ask @Bobby, @some role and #some channel about :party: /help"


def test_nickname_in_the_server_is_the_speakers_name() -> None:
    assert heard("nick").speaker.name == "Queen Ann"


def test_thread_that_we_are_part_of_is_a_conversation_of_its_own() -> None:
    found = heard("thread", OUR_THREAD)
    assert (found.conversation.place, found.conversation.thread) == (f"discord/{ME}/{CHANNEL}", THREAD)
    assert found.room.address["channel"] == THREAD
    assert found.text == "Nice"


def test_other_peoples_thread_is_left_alone() -> None:
    assert event("thread", OTHER_THREAD) is None


def test_blank_message_in_our_thread_is_left_alone() -> None:
    """So it looks without the Message Content Intent: nobody knows what was said."""
    assert event("thread_blank", OUR_THREAD) is None


def test_mention_in_a_thread_is_for_us_in_that_thread() -> None:
    mentioned = payload("mention") | {"channel_id": THREAD, "channel_type": 11}
    found = to_event(mentioned, ME, OTHER_THREAD)
    assert found is not None
    assert found.conversation.thread == THREAD


def test_direct_message_is_always_for_us_and_refers_to_nothing() -> None:
    found = heard("direct", Place())
    assert found.text == "hello"
    assert found.room.address == {"channel": DIRECT, "reply_to": None}


def test_right_to_left_text_and_emoji_stay_whole() -> None:
    assert heard("direct_right_to_left", Place()).text == "שלום 👩‍👩‍👧‍👦"


@pytest.mark.parametrize(
    ("name", "files"),
    [
        ("direct_empty", ()),
        ("direct_image", ("image", "file")),
        ("direct_voice", ("voice",)),
        ("direct_sticker", ("image",)),
    ],
)
def test_message_without_words_says_what_came(name: str, files: tuple[str, ...]) -> None:
    found = heard(name, Place())
    assert (found.text, found.files) == ("", files)


def test_forwarded_message_is_read() -> None:
    found = heard("direct_forwarded", Place())
    assert (found.text, found.files) == ("what do you think of this?", ("video",))


def test_command_takes_its_text_and_the_way_to_answer_it() -> None:
    found = command("command_persona")
    assert found.server == "1457468924290662599"
    assert (found.kind, found.text) == ("persona", "a pirate")
    assert found.id == f"discord/{ME}/{CHANNEL}/1457536840281231550/command"
    assert found.conversation == heard("mention").conversation
    address = found.room.address
    assert (address["channel"], address["private"]) == (CHANNEL, False)
    assert (address["application"], address["token"]) == ("1457469483726668040", "aW50ZXJhY3Rpb24")
    assert address["until"] == pytest.approx(found.at + 900)


def test_persona_alone_has_no_text() -> None:
    assert command("command_persona_alone").text == ""


def test_command_in_a_thread_is_for_that_thread() -> None:
    found = command("command_reset_in_thread")
    assert (found.kind, found.conversation.place, found.conversation.thread) == (
        "reset",
        f"discord/{ME}/{CHANNEL}",
        THREAD,
    )


def test_command_in_a_direct_message_is_for_that() -> None:
    found = command("command_help_in_direct")
    assert found.conversation == heard("direct", Place()).conversation
    assert found.room.address["private"] is True


def test_command_has_the_persons_locale_and_a_message_the_servers() -> None:
    assert command("command_help_in_direct").locale == payload("command_help_in_direct")["locale"] != ""
    assert heard("mention", replace(CHANNEL_PLACE, locale="de")).locale == "de"


def test_stop_means_the_conversation_that_it_was_made_in() -> None:
    assert command("command_stop").conversation == heard("mention").conversation


def test_message_chosen_in_its_menu_is_quoted_with_what_came_with_it() -> None:
    found = command("command_about_message")
    assert (found.kind, found.text, found.alone) == ("message", ABOUT_THIS, True)
    assert [(quote.speaker.name, quote.text) for quote in found.quotes] == [("Ann", "Hey")]
    assert (found.files, [each.name for each in found.attachments]) == (("file",), ["sky.txt"])
    assert found.id == f"discord/{ME}/{CHANNEL}/1457536840281231550/ask"
    assert found.conversation == heard("mention").conversation
    assert (found.shared, found.room.address["private"]) == (True, False)


@pytest.mark.parametrize("name", ["command_unknown", "button"])
def test_other_interactions_are_not_for_us(name: str) -> None:
    assert to_command(payload(name), ME) is None


@pytest.mark.parametrize("missing", ["author", "channel_id", "id", "type"])
def test_payload_that_is_none_is_refused(missing: str) -> None:
    broken = payload("mention")
    del broken[missing]
    with pytest.raises(KeyError):
        to_event(broken, ME, CHANNEL_PLACE)


def test_neither_words_nor_tokens_are_in_a_representation() -> None:
    assert "love" not in repr(heard("mention"))
    assert "aW50ZXJhY3Rpb24" not in repr(command("command_persona"))
    assert "pirate" not in repr(command("command_persona"))


@pytest.mark.parametrize("scope", ["thread", "channel", "server"])
def test_deletion_is_meant_for_the_conversation_of_the_message(scope: Scope) -> None:
    written = payload("mention")
    gone = {"id": written["id"], "channel_id": written["channel_id"], "guild_id": written["guild_id"]}
    for place in (CHANNEL_PLACE, OUR_THREAD):
        deleted = scoped(to_delete(gone, ME, place), scope)
        assert deleted.conversation == scoped(heard("mention", place), scope).conversation
    del gone["guild_id"]
    assert not to_delete(gone, ME, Place()).shared
