"""What was said while the bot was away, read when it is back."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest

from adapters.markdown import plain
from adapters.slack import listeners
from adapters.slack.adapter import SlackAdapter
from adapters.slack.settings import SlackSettings
from adapters.slack.waiting import Waits
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from core.turns import Conversation
from tests.adapters.slack.conftest import listening
from tests.core.store.servers import RedisServer
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT, TEAM
from tests.running import running

MINUTE = 60.0


async def texts(store: Store, place: str, thread: str = "") -> list[str]:
    turns = await store.inbox.turns(Conversation(f"slack/{TEAM}-{BOT}/{place}", thread), 100)
    return [turn.text for turn in turns]


async def until_taken(store: Store, expected: list[str], place: str, thread: str = "") -> None:
    try:
        async with asyncio.timeout(10):
            # The store tells nobody what it takes.
            while await texts(store, place, thread) != expected:  # noqa: ASYNC110
                await asyncio.sleep(0.01)
    except TimeoutError:
        assert await texts(store, place, thread) == expected


async def until_there(store: Store, moment: float) -> None:
    """Wait until the store knows that the bot was there after `moment`, and misses nothing from before."""
    async with asyncio.timeout(20):
        while True:
            written = await store.inbox.get(f"slack/{TEAM}-{BOT}/attendance")
            if written is not None and msgspec.json.decode(written)["there"] > moment:
                return
            await asyncio.sleep(0.01)


def answers(slack: FakeSlack, room: str, thread: str | None = None) -> list[str]:
    return [plain(text).removeprefix("You said: ") for text in slack.shown(room, thread=thread)]


def reads(slack: FakeSlack) -> int:
    return len(slack.calls("conversations.history") + slack.calls("conversations.replies"))


@asynccontextmanager
async def process(slack: FakeSlack, settings: SlackSettings, store: Store) -> AsyncIterator[None]:
    """A process that listens. Before it ends it has taken what was said, and the store knows that it was there."""
    adapter = SlackAdapter(settings, store.fleet, waits=Waits(first=0.01, longest=0.05), clock=slack.time)
    async with listening(adapter, store):
        if settings.mode == "socket":
            await slack.connected()
        yield
        await slack.settled()
        await until_there(store, 0.0)


async def test_what_was_said_in_a_long_absence_is_answered_once_where_it_belongs(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine()):
        await slack.connected()
        await slack.say("one", person="ann")
        thread = await slack.say("@trialogue two", room="general")
        await slack.until(lambda: answers(slack, "ann") == ["one"] and answers(slack, "general") == ["two"])
        with slack.away():
            slack.pass_time(6 * MINUTE)
            missed = [await slack.say(text, person="ann") for text in ("three", "four", "five")]
            await slack.say("six", person="bob", room="general", thread=thread)
            await slack.say("not for the bot", room="general")
            await slack.say("nor this", room="elsewhere")
        await slack.until(lambda: answers(slack, "ann") == ["one", "three", "four", "five"])
        await slack.until(lambda: answers(slack, "general", thread) == ["two", "six"])
        await slack.redeliver(missed[1])
        await slack.say("seven", person="ann")
        await slack.until(lambda: answers(slack, "ann")[-1] == "seven")
    assert answers(slack, "ann") == ["one", "three", "four", "five", "seven"]
    assert answers(slack, "general") == ["two", "six"]
    assert answers(slack, "elsewhere") == []


async def test_redelivered_event_is_taken_once_though_it_is_read_as_well(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        await slack.say("one", person="ann")
        await slack.settled()
        with slack.away():
            slack.pass_time(6 * MINUTE)
            two = await slack.say("two", person="ann")
        with slack.hold("conversations.history"):
            await slack.until(lambda: bool(slack.calls("conversations.history")))
            await slack.redeliver(two)
            await slack.say("live", person="bob")
            # Both wait for the reading, and not for longer than Slack waits for them.
            await slack.settled()
            await until_taken(store, ["one", "two"], slack.direct("ann").id)
            await until_taken(store, ["live"], slack.direct("bob").id)
        await until_there(store, slack.time() - MINUTE)
    assert await texts(store, slack.direct("ann").id) == ["one", "two"]


async def test_what_is_heard_first_comes_after_what_was_missed_before_it(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "WAITS_FOR_MISSED", 30.0)  # on a busy machine reading takes its time
    people = [f"person{number}" for number in range(8)]
    async with listening(adapter, store):
        await slack.connected()
        for person in people:
            await slack.say("one", person=person)
        await slack.settled()
        with slack.away():
            slack.pass_time(6 * MINUTE)
            for person in people:
                await slack.say("two", person=person)
        await slack.connected()
        for person in people:
            await slack.say("three", person=person)
        for person in people:
            await until_taken(store, ["one", "two", "three"], slack.direct(person).id)


async def test_after_a_short_absence_nothing_is_read(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        await slack.say("one", person="ann")
        await slack.settled()
        with slack.away():
            slack.pass_time(MINUTE)
            await slack.say("two", person="ann")
        back = slack.time()
        await slack.connected()
        await slack.say("three", person="bob")
        await slack.settled()
        await until_there(store, back)
    assert await texts(store, slack.direct("ann").id) == ["one"]
    assert reads(slack) == 0


@pytest.mark.parametrize(("minutes", "expected"), [(6, ["one", "two"]), (1, ["one"])])
async def test_time_between_two_processes_counts(
    slack: FakeSlack, settings: SlackSettings, store: Store, minutes: int, expected: list[str]
) -> None:
    async with process(slack, settings, store):
        await slack.say("one", person="ann")
    slack.pass_time(minutes * MINUTE)
    with slack.untold():
        await slack.say("two", person="ann")
    back = slack.time()
    async with process(slack, settings, store):
        await slack.say("three", person="bob")
        await until_there(store, back)
    assert await texts(store, slack.direct("ann").id) == expected


async def test_mention_and_the_thread_that_it_began_are_read_where_the_bot_has_a_thread(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    async with process(slack, settings, store):
        await slack.say("@trialogue one", room="general")
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        thread = await slack.say("@trialogue two", room="general")
        await slack.say("three", person="bob", room="general", thread=thread)
    async with process(slack, settings, store):
        await until_taken(store, ["two", "three"], slack.place("general").id, thread)


async def test_thread_that_was_begun_in_direct_messages_is_read(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    async with process(slack, settings, store):
        old = await slack.say("one", person="ann")
        await slack.say("two", person="ann", thread=old)
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        new = await slack.say("three", person="ann")
        await slack.say("four", person="ann", thread=new)
        await slack.say("five", person="ann", thread=old)
        await slack.say("six", person="ann", thread=old, subtype="thread_broadcast")
    async with process(slack, settings, store):
        await until_taken(store, ["one", "three"], slack.direct("ann").id)
        await until_taken(store, ["four"], slack.direct("ann").id, new)
        await until_taken(store, ["two", "five", "six"], slack.direct("ann").id, old)


async def test_what_was_said_in_a_thread_before_the_bot_was_called_is_not_for_it(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    async with process(slack, settings, store):
        thread = await slack.say("among us", room="general")
        await slack.say("and us alone", room="general", thread=thread)
        await slack.say("@trialogue one", room="general", thread=thread)
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        await slack.say("two", room="general", thread=thread)
    async with process(slack, settings, store):
        await until_taken(store, ["one", "two"], slack.place("general").id, thread)


async def test_what_was_said_long_ago_is_left_alone(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    async with process(slack, settings, store):
        await slack.say("one", person="ann")
    with slack.untold():
        await slack.say("two hours ago", person="ann")
        slack.pass_time(120 * MINUTE)
        await slack.say("just now", person="ann")
    async with process(slack, settings, store):
        await until_taken(store, ["one", "just now"], slack.direct("ann").id)


async def test_bot_that_never_listened_reads_nothing(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    with slack.untold():
        await slack.say("long before", person="ann")
        slack.pass_time(6 * MINUTE)
    async with process(slack, settings, store):
        await slack.say("now", person="ann")
    assert reads(slack) == 0
    assert await texts(store, slack.direct("ann").id) == ["now"]


async def test_pages_are_put_into_order(slack: FakeSlack, settings: SlackSettings, store: Store) -> None:
    slack.api.most_in_page = 3
    async with process(slack, settings, store):
        await slack.say("0", person="ann")
    slack.pass_time(6 * MINUTE)
    numbers = [str(number) for number in range(1, 11)]
    with slack.untold():
        for number in numbers:
            await slack.say(number, person="ann")
    async with process(slack, settings, store):
        await until_taken(store, ["0", *numbers], slack.direct("ann").id)


async def test_what_is_read_in_one_room_is_bounded(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    slack.api.most_in_page = 1
    async with process(slack, settings, store):
        await slack.say("0", person="ann")
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        for number in range(1, 8):
            await slack.say(str(number), person="ann")
    back = slack.time()
    async with process(slack, settings, store):
        await until_there(store, back)
    assert await texts(store, slack.direct("ann").id) == ["0", "3", "4", "5", "6", "7"]


async def test_slack_that_is_slow_broken_or_refuses_a_room_is_read_all_the_same(
    slack: FakeSlack, settings: SlackSettings, store: Store
) -> None:
    async with process(slack, settings, store):
        thread = await slack.say("@trialogue one", room="general")
        await slack.say("@trialogue two", room="left")
        await slack.say("three", person="ann")
    await slack.remove_bot("left")
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        await slack.say("four", room="general", thread=thread)
        await slack.say("five", person="ann")
    for method in ("conversations.history", "conversations.replies"):
        slack.fail(method, "429", "500", "html", "garbage", "cut before", "internal_error", after=0)
    back = slack.time()
    async with process(slack, settings, store):
        await until_taken(store, ["one", "four"], slack.place("general").id, thread)
        await until_taken(store, ["three", "five"], slack.direct("ann").id)
        await until_there(store, back)


async def test_missing_scope_is_told_once_and_the_rest_is_read(
    slack: FakeSlack, settings: SlackSettings, store: Store, caplog: pytest.LogCaptureFixture
) -> None:
    async with process(slack, settings, store):
        for person in ("ann", "bob"):
            await slack.say("one", person=person)
        thread = await slack.say("@trialogue two", room="general")
    slack.api.scopes.remove("im:history")
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        await slack.say("three", room="general", thread=thread)
    back = slack.time()
    async with process(slack, settings, store):
        await until_taken(store, ["two", "three"], slack.place("general").id, thread)
        await until_there(store, back)
    told = [record.message for record in caplog.records if "im:history" in record.message]
    assert len([message for message in told if "Reinstall" in message]) == 1


async def test_time_without_the_store_counts(
    slack: FakeSlack, adapter: SlackAdapter, store: Store, redis_server: RedisServer
) -> None:
    async with listening(adapter, store):
        await slack.connected()
        await slack.say("one", person="ann")
        await slack.settled()
        await until_there(store, 0.0)
        redis_server.kill()
        try:
            with slack.untold():
                slack.pass_time(6 * MINUTE)
                await slack.say("two", person="ann")
        finally:
            redis_server.ensure()
        await until_taken(store, ["one", "two"], slack.direct("ann").id)


async def test_http_s_absence_is_the_process_s(
    slack: FakeSlack, settings: SlackSettings, http_settings: SlackSettings, store: Store
) -> None:
    async with process(slack, settings, store):
        await slack.say("one", person="ann")
    slack.pass_time(6 * MINUTE)
    with slack.untold():
        await slack.say("two", person="ann")
    async with process(slack, http_settings, store):
        await until_taken(store, ["one", "two"], slack.direct("ann").id)
