"""Every shape in which a platform tells of something, as a file, and the events that each adapter makes of it.

`tests/payloads/PLATFORM/NAME.json` is what the platform sends, and `tests/payloads/PLATFORM.json` states under
NAME the events that come of it: all of their fields but those that are as they are by default. Where there are
none, it is not for us. Which of an adapter's functions reads a payload is told here as the gateway, the update or
the envelope tells it.
"""

import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import MISSING, fields, is_dataclass
from pathlib import Path
from typing import Any

import msgspec
import pytest
from telegram import Update, User

from adapters.discord.events import Place, to_command, to_delete, to_edit, to_press
from adapters.discord.events import to_event as of_discord
from adapters.slack import commands, shortcut
from adapters.slack.events import Account, edited
from adapters.slack.events import to_delete as of_deletion
from adapters.slack.events import to_edit as of_edit
from adapters.slack.events import to_event as of_slack
from adapters.slack.events import to_press as of_press
from adapters.telegram.events import to_event as of_telegram
from core.commands import find
from core.turns import Event, Kind
from tests.fakes.telegram_spec import given_spec

PAYLOADS = Path(__file__).parents[1] / "payloads"

Payload = dict[str, Any]


def discord(name: str, payload: Payload) -> Iterator[Event | None]:
    me, channel = "1457469483726668048", "1457510428359004343"
    place = Place()
    if "guild_id" in payload:
        names = {"1457473602180870000": "admins", "1457510428359004344": "kitchen"}
        in_thread = payload["channel_id"] == "1457536551830421524"
        place = Place(
            thread=in_thread,
            parent=channel if in_thread else "",
            ours=in_thread,
            roles=frozenset({"1457473602180878604"}),
            names=names,
            locale="en-US",
        )
    if "token" in payload:
        yield to_command(payload, me) or to_press(payload, me)
    elif name.startswith("edited"):
        yield to_edit(payload, me, place)
    elif "ids" in payload:
        yield from (to_delete({**payload, "id": each}, me, place) for each in payload["ids"])
    elif name.startswith("deleted"):
        yield to_delete(payload, me, place)
    else:
        yield of_discord(payload, me, place)


def telegram(_name: str, payload: Payload) -> Iterator[Event | None]:
    yield of_telegram(Update.de_json(payload), User(7000, "Trialogue", is_bot=True, username="trialogue_bot"))


def slack(name: str, payload: Payload) -> Iterator[Event | None]:
    me, names = Account("T0TRIALOGUE", "U0TRIALOGUE"), {"U0ANN": "Ann", "U0BOB": "Bob"}
    match payload.get("type"):
        case "block_actions":
            yield of_press(payload, me)
        case "message_action":
            asked = msgspec.convert(payload, shortcut.Asked)
            yield shortcut.to_event(asked, me, names, direct=asked.channel.id == "D0ANN", locale="en-US")
        case "event_callback":
            event, now = payload["event"], edited(payload["event"])
            taking_part = name in {"thread_reply", "thread_broadcast"}
            said = of_slack(now or event, me, names, taking_part=taking_part, locale="en-US")
            yield of_deletion(event, me) or (said if said is None or now is None else of_edit(event, said))
        case _:
            command = msgspec.convert(payload, commands.Command)
            word, _, text = command.text.partition(" ")
            direct = command.channel_id == "D0ANN"
            if (meant := find(word)) is not None and meant.kind != "help":
                yield commands.to_event(
                    command, meant, text, me, at=1771442530.0, direct=direct, manages=True, locale="en-US"
                )


READERS: Mapping[str, Callable[[str, Payload], Iterator[Event | None]]] = {
    "discord": discord,
    "telegram": telegram,
    "slack": slack,
}


def read(path: Path) -> Any:
    return json.loads(path.read_text(encoding="utf-8"))


def told(value: Any) -> Any:
    """As JSON has it, without what is as it is by default."""
    if is_dataclass(value):
        every = {field: getattr(value, field.name) for field in fields(value)}
        return {
            field.name: told(each)
            for field, each in every.items()
            if field.default is MISSING or each != field.default
        }
    if isinstance(value, Mapping):
        return {name: told(each) for name, each in value.items()}
    return [told(each) for each in value] if isinstance(value, tuple) else value


def events_of(platform: str, name: str) -> list[Any]:
    payload = read(PAYLOADS / platform / f"{name}.json")
    return [told(event) for event in READERS[platform](name, payload) if event is not None]


def files(platform: str) -> list[str]:
    return sorted(path.stem for path in (PAYLOADS / platform).glob("*.json"))


@pytest.mark.parametrize(
    ("platform", "name"), [(platform, name) for platform in READERS for name in files(platform)]
)
def test_payload_makes_the_events_that_are_stated(platform: str, name: str) -> None:
    assert events_of(platform, name) == read(PAYLOADS / f"{platform}.json")[name]


@pytest.mark.parametrize("platform", READERS)
def test_every_statement_is_of_a_payload(platform: str) -> None:
    assert sorted(read(PAYLOADS / f"{platform}.json")) == files(platform)


@pytest.mark.parametrize("platform", READERS)
def test_there_is_a_payload_for_everything_that_people_do(platform: str) -> None:
    stated = [event for events in read(PAYLOADS / f"{platform}.json").values() for event in events]
    # What is set, and other commands, are one shape each; nobody sends what the guard and the worker make.
    people_do: set[Kind] = {"message", "reset", "persona", "edit", "act", "stop", "vote", "setting", "command"}
    if platform != "telegram":  # which tells no bot of what was deleted
        people_do.add("delete")
    assert people_do <= {event.get("kind", "message") for event in stated}
    assert {"image", "voice", "file"} <= {kind for event in stated for kind in event.get("files", ())}
    assert any(event.get("quotes") for event in stated)
    assert any(event["conversation"].get("thread") for event in stated)
    assert any(not event.get("shared") for event in stated)
    assert [] in read(PAYLOADS / f"{platform}.json").values(), "what is not for us is a shape too"


NOT_DESCRIBED = {"group_member_joined", "migrated_to"}
"""Updates in which Telegram sends fields that its specification has no more."""


@pytest.mark.skipif(given_spec() is None, reason="TRIALOGUE_TEST_SPECS names no folder")
@pytest.mark.parametrize("name", [name for name in files("telegram") if name not in NOT_DESCRIBED])
def test_update_is_as_the_bot_api_describes_it(name: str) -> None:
    spec = given_spec()
    assert spec is not None
    assert spec.unlike("Update", read(PAYLOADS / "telegram" / f"{name}.json")) == []
