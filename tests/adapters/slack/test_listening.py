"""Socket Mode, from the platform's event to the store; nobody answers."""

import asyncio
import dataclasses
import json

import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.settings import SlackSettings
from adapters.slack.waiting import Waits
from core.errors import Refused
from core.store.inbox import MAILBOX
from core.store.store import Store
from core.turns import Conversation, Turn
from tests.adapters.slack.conftest import listening
from tests.core.store.servers import RedisServer
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT, TEAM

# A message event whose ts is none.
_BAD_TS = json.dumps(
    {
        "type": "events_api",
        "envelope_id": "e1",
        "payload": {
            "type": "event_callback",
            "event": {"type": "message", "channel": "D1", "user": "U1", "ts": "never"},
        },
    }
)


async def waiting(store: Store, place: str, thread: str = "") -> list[Turn]:
    return await store.inbox.turns(Conversation(f"slack/{TEAM}-{BOT}/{place}", thread), 10)


async def texts(store: Store, place: str, thread: str = "") -> list[str]:
    return [turn.text for turn in await waiting(store, place, thread)]


async def test_account_is_known_after_entering(slack: FakeSlack, adapter: SlackAdapter) -> None:
    async with adapter:
        assert adapter.bot == f"{TEAM}-{BOT}"
        assert adapter.routes == []


async def test_direct_message_is_taken_with_the_person_s_name(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        await slack.say("hello", person="ann")
        await slack.settled()
    (turn,) = await waiting(store, slack.direct("ann").id)
    assert turn.speaker is not None
    assert (turn.text, turn.speaker.name) == ("hello", "Ann")


async def test_mention_is_taken_once_though_it_comes_twice(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.user("bob")
    async with listening(adapter, store):
        ts = await slack.say("@trialogue do you know @bob?", room="general")
        await slack.settled()
    assert slack.pushed == 2
    assert await texts(store, slack.place("general").id, ts) == ["do you know @Bob?"]


async def test_thread_that_a_mention_began_goes_on_without_mentions(
    slack: FakeSlack, adapter: SlackAdapter, settings: SlackSettings, store: Store
) -> None:
    async with listening(adapter, store):
        thread = await slack.say("@trialogue one", room="general")
        await slack.say("two", person="bob", room="general", thread=thread)
        await slack.say("elsewhere", room="general")
        await slack.settled()
    # Another process has nothing but the store to know it from.
    async with listening(SlackAdapter(settings, store.fleet), store):
        await slack.say("three", room="general", thread=thread)
        await slack.settled()
    assert await texts(store, slack.place("general").id, thread) == ["one", "two", "three"]


@pytest.mark.parametrize("replies", [2, 19, 20, 40])
async def test_message_that_a_thread_stands_under_is_known_to_a_bot_that_is_called_into_it(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, replies: int
) -> None:
    slack.api.most_in_page = 15
    async with listening(adapter, store):
        thread = await slack.say("where shall we eat?", person="ann", room="general")
        for number in range(replies):
            await slack.say(f"idea {number}", person="bob", room="general", thread=thread)
        await slack.say("@trialogue which is best?", room="general", thread=thread)
        await slack.settled()
    [claim] = await store.claims.take(["slack"], 1, wait=10)
    first, *others = claim.event.quotes
    assert (first.speaker.name, first.text) == ("Ann", "where shall we eat?")
    assert [quote.text for quote in others] == [f"idea {number}" for number in range(replies)][-19:]


async def test_thread_of_others_is_not_listened_to(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    async with listening(adapter, store):
        thread = await slack.say("among us", room="general")
        await slack.say("yes", person="bob", room="general", thread=thread)
        await slack.settled()
    assert await texts(store, slack.place("general").id, thread) == []


async def test_bots_and_edits_are_not_taken(slack: FakeSlack, adapter: SlackAdapter, store: Store) -> None:
    async with listening(adapter, store):
        slack.own_event("@trialogue hello", room="general")
        ts = await slack.bot_says("@trialogue hello", room="general")
        mine = await slack.say("hello", person="ann")
        await slack.edited(mine, "hello!")
        await slack.settled()
    assert await texts(store, slack.place("general").id, ts) == []
    assert await texts(store, slack.direct("ann").id) == ["hello"]


async def test_order_of_arrival_is_kept_while_names_are_looked_up(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        with slack.hold("users.info"):
            for number in range(5):
                await slack.say(str(number), person="ann")
            await slack.until(lambda: bool(slack.calls("users.info")))
        await slack.settled()
    assert await texts(store, slack.direct("ann").id) == ["0", "1", "2", "3", "4"]


async def test_name_that_cannot_be_had_holds_nothing_up(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.api.scopes.remove("users:read")
    async with listening(adapter, store):
        await slack.say("hello @trialogue", person="ann")
        await slack.settled()
    (turn,) = await waiting(store, slack.direct("ann").id)
    assert turn.speaker is not None
    assert (turn.speaker.id, turn.speaker.name) == ("U0ANN", "")


async def test_event_is_acknowledged_only_when_it_is_on_disk(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, redis_server: RedisServer
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        redis_server.kill()
        try:
            await slack.say("hello", person="ann")
            # Slack has waited, and brings it once more.
            await slack.until(lambda: slack.retried >= 1)
            assert not slack.brought
        finally:
            redis_server.ensure()
        await slack.settled()
    assert not slack.lost
    assert await texts(store, slack.direct("ann").id) == ["hello"]


async def test_full_mailbox_is_said_to_the_person_alone(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        for number in range(MAILBOX):
            await slack.say(str(number), person="ann")
        await slack.settled()
        await slack.say("too much", person="ann")
        await slack.settled()
    assert not slack.lost
    assert [said["user"] for said in slack.ephemeral] == ["U0ANN"]
    assert "try again" in slack.ephemeral[0]["text"]


async def test_listening_goes_on_after_slack_asks_for_a_new_connection(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        old = slack.sockets.open[0]
        await slack.disconnect("warning", close=False)
        await slack.connected()
        assert slack.sockets.open[0] is not old
        await slack.say("hello", person="ann")
        await slack.settled()
    assert await texts(store, slack.direct("ann").id) == ["hello"]


async def test_old_connection_is_read_until_slack_closes_it(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        old = slack.sockets.open[0]
        await slack.disconnect("refresh_requested", close=False)
        await slack.connected()
        slack.sockets.open[0].open, old.open = False, True
        await slack.say("late", person="ann")
        await slack.settled()
    assert await texts(store, slack.direct("ann").id) == ["late"]


async def test_cut_connection_is_opened_again_and_what_was_missed_comes(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        for text in ("one", "two"):
            await slack.connected()
            slack.cut_sockets()
            await slack.say(text, person="ann")
        await slack.settled()
    assert await texts(store, slack.direct("ann").id) == ["one", "two"]


async def test_refused_handshakes_and_broken_answers_are_survived(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    slack.fail("link", "500", "html", "cut before")
    slack.fail("apps.connections.open", "429", "html", "garbage", "cut before", "internal_error", after=0)
    async with listening(adapter, store):
        await slack.say("hello", person="ann")
        await slack.settled()
    assert await texts(store, slack.direct("ann").id) == ["hello"]


@pytest.mark.parametrize(
    "frame",
    [
        "nonsense",
        "[1]",
        '"text"',
        '{"type": "events_api"}',
        '{"type": "events_api", "envelope_id": "e1", "payload": 7}',
        '{"type": "events_api", "envelope_id": "e1", "payload": {"type": "event_callback", "event": {}}}',
        '{"type": "events_api", "envelope_id": "e1", "payload": {"type": "event_callback", "event": {"type": 7}}}',
        _BAD_TS,
        '{"type": "slash_commands", "envelope_id": "e1", "payload": {"command": "/trialogue"}}',
        '{"type": "interactive", "envelope_id": "e1", "payload": {"type": "block_actions", "actions": []}}',
        '{"type": "news", "envelope_id": "e1", "payload": {}}',
    ],
)
async def test_garbage_is_survived(slack: FakeSlack, adapter: SlackAdapter, store: Store, frame: str) -> None:
    async with listening(adapter, store):
        await slack.connected()
        await slack.sockets.open[0].send_raw(frame)
        await slack.say("hello", person="ann")
        await slack.settled()
    assert await texts(store, slack.direct("ann").id) == ["hello"]


@pytest.mark.parametrize("error", ["invalid_auth", "not_authed", "missing_scope", "token_revoked"])
async def test_refused_app_token_ends_listening_and_says_where_to_click(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, error: str
) -> None:
    slack.fail("apps.connections.open", error)
    async with adapter:
        with pytest.raises(Refused, match="App-Level Tokens"):
            await adapter.listen(store.inbox)


async def test_socket_mode_that_is_switched_off_ends_listening(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with adapter, asyncio.TaskGroup() as group:
        task = group.create_task(_refusal(adapter, store))
        await slack.connected()
        await slack.disconnect("link_disabled")
        assert "Enable Socket Mode" in (await task).fix


async def test_missing_tokens_are_named(slack: FakeSlack, settings: SlackSettings, store: Store) -> None:
    with pytest.raises(Refused, match="bot_token is empty"):
        await SlackAdapter(dataclasses.replace(settings, bot_token=""), store.fleet).__aenter__()
    async with SlackAdapter(dataclasses.replace(settings, app_token=""), store.fleet) as adapter:
        with pytest.raises(Refused, match="app_token is empty"):
            await adapter.listen(store.inbox)


async def test_wrong_bot_token_is_refused_at_the_start(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    with pytest.raises(Refused, match="xoxb-") as caught:
        await SlackAdapter(dataclasses.replace(settings, bot_token="xoxb-not-it"), store.fleet).__aenter__()
    assert "not-it" not in str(caught.value)


async def test_slack_that_is_away_at_the_start_is_waited_for(slack: FakeSlack, adapter: SlackAdapter) -> None:
    slack.fail("auth.test", "500", "html", "cut before")
    async with adapter:
        assert adapter.bot


async def test_slack_that_stays_away_is_said_so(settings: SlackSettings, store: Store) -> None:
    away = dataclasses.replace(settings, api_base="http://127.0.0.1:9/api/")
    with pytest.raises(Refused, match="does not answer"):
        await SlackAdapter(away, store.fleet, waits=Waits(first=0.001, longest=0.002)).__aenter__()


def test_settings_do_not_print_secrets() -> None:
    shown = repr(SlackSettings(bot_token="xoxb-1", app_token="xapp-2", signing_secret="sig-3"))
    assert not any(secret in shown for secret in ("xoxb-1", "xapp-2", "sig-3"))


async def _refusal(adapter: SlackAdapter, store: Store) -> Refused:
    with pytest.raises(Refused) as caught:
        await adapter.listen(store.inbox)
    return caught.value
