"""The slash command: answered at once, to the person alone."""

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.intake import TAKEN_WITHIN
from core.store.store import Store
from core.turns import Conversation, Event
from tests.adapters.slack.conftest import listening
from tests.core.store.servers import RedisServer
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT, TEAM


async def answer(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, text: str, *, channel: str | None = None
) -> str | None:
    """What the app answers; empty: it acknowledged without a word."""
    async with listening(adapter, store):
        await slack.connected()
        payload = await slack.command(text, channel=channel)
    return None if payload is None else str(payload.get("text", ""))


async def claimed(store: Store, *, wait: float = 10.0) -> list[Event]:
    return [claim.event for claim in await store.claims.take(["slack"], 8, wait=wait)]


@pytest.mark.parametrize("text", ["", "help", " HELP "])
async def test_help_names_both_forms(slack: FakeSlack, adapter: SlackAdapter, store: Store, text: str) -> None:
    said = await answer(slack, adapter, store, text)
    assert said is not None
    assert "/trialogue persona" in said
    assert "!reset" in said


async def test_help_is_in_the_persons_language(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    slack.user("ann")["locale"] = "de-DE"
    assert "Schreib dort `!help`" in (await answer(slack, adapter, store, "help") or "")


async def test_unknown_word_is_said_so(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    assert "no such command" in (await answer(slack, adapter, store, "dance") or "")


async def test_reset_in_a_direct_message_is_taken(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    assert await answer(slack, adapter, store, "reset") == ""
    (event,) = await claimed(store)
    channel = slack.direct("ann").id
    assert (event.kind, event.conversation) == ("reset", Conversation(f"slack/{TEAM}-{BOT}/{channel}"))
    assert event.room.address["thread"] is None


async def test_persona_in_a_channel_holds_for_the_channel(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    channel = slack.place("general").id
    assert await answer(slack, adapter, store, "persona You are  a pirate.", channel=channel) == ""
    (event,) = await claimed(store)
    assert (event.kind, event.text) == ("persona", "You are  a pirate.")
    assert event.conversation.place == f"slack/{TEAM}-{BOT}/{channel}"


@pytest.mark.parametrize("word", ["reset", "stop"])
async def test_command_that_would_mean_a_thread_names_the_form_that_can(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, word: str
) -> None:
    said = await answer(slack, adapter, store, word, channel=slack.place("general").id)
    assert f"`!{word}`" in (said or "")
    assert await claimed(store, wait=0.1) == []


async def test_stop_is_confirmed(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    assert await answer(slack, adapter, store, "stop") == "I stop."


async def test_command_between_two_other_people_changes_nothing(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    theirs = slack.open("their talk", "im", member=False).id
    assert "not in this conversation" in (await answer(slack, adapter, store, "reset", channel=theirs) or "")
    assert await claimed(store, wait=0.1) == []


async def test_command_in_a_channel_without_the_bot_asks_for_an_invitation(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    channel = slack.open("elsewhere", member=False).id
    assert "/invite" in (await answer(slack, adapter, store, "persona x", channel=channel) or "")


async def test_command_is_taken_where_slack_does_not_tell_about_the_room(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.fail("conversations.info", "html")
    assert await answer(slack, adapter, store, "reset") == ""
    assert len(await claimed(store)) == 1


async def test_store_that_does_not_answer_is_said_to_the_person_while_slack_still_waits(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, redis_server: RedisServer
) -> None:
    assert slack.patience > TAKEN_WITHIN
    slack.patience = 30.0  # a busy machine is late
    async with listening(adapter, store):
        await slack.connected()
        with redis_server.paused():
            refused = await slack.command("reset")
        taken = await slack.command("persona a pirate")
    assert refused is not None
    assert "try again" in refused["text"]
    assert taken == {}


async def test_store_that_is_away_is_said_to_the_person(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, redis_server: RedisServer
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        redis_server.kill()
        try:
            refused = await slack.command("reset")
        finally:
            redis_server.ensure()
        taken = await slack.command("reset")
    assert refused is not None
    assert "try again" in refused["text"]
    assert taken == {}
    assert len(await claimed(store)) == 1
