"""A message that grows as a stream, over the wire; and how it goes on where it cannot."""

from dataclasses import replace
from typing import Literal

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.delivery import Limited, MessageGone, Unavailable
from adapters.slack.adapter import SlackAdapter
from adapters.slack.channel import SlackChannel, metadata
from adapters.slack.events import Account, Address
from adapters.slack.settings import SlackSettings
from adapters.slack.statuses import Statuses
from adapters.slack.streaming import StreamChannel
from adapters.slack.streams import Streams
from adapters.slack.uploads import Uploads
from core.dialogue import DialogueSettings
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from core.turns import Control
from tests.adapters.telegram.notebook import Alone
from tests.contracts.rig import BRISK
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT, BOT_ID, TEAM, Json
from tests.running import running

AGAIN = (Control("regenerate", "again"), Control("up", "yes"), Control("down", "no"))
ME = Account(TEAM, BOT, BOT_ID)


async def channel_in(
    slack: FakeSlack, client: AsyncWebClient, keys: dict[str, str] | None = None
) -> StreamChannel:
    """The thread under a new message of Ann in a channel, or under the first one that there is."""
    messages = slack.place("general").messages
    ts = next(iter(messages)) if messages else await slack.say("hello", person="ann", room="general")
    address = Address(slack.place("general").id, ts, ts)
    asker, uploads = slack.user("ann")["id"], Uploads(client, slack.file_base)
    plain = SlackChannel(client, Statuses(client), uploads, address, user=BOT, asker=asker)
    streams = Streams(Alone(), slack.time)
    return StreamChannel(
        client, streams, plain, address, me=ME, asker=asker, keys=keys or {}, stopped=lambda: None
    )


def ours(slack: FakeSlack) -> list[Json]:
    return [each for each in slack.place("general").messages.values() if each.get("user") == BOT]


def methods(slack: FakeSlack) -> list[str]:
    return [call.method.removeprefix("chat.") for call in slack.journal if call.method.startswith("chat.")]


async def grow(channel: StreamChannel, *drafts: str) -> str:
    first, *others = drafts
    message = await channel.send(first, key="k1", grows=True)
    for draft in others:
        await channel.edit(message, draft, grows=True)
    return message


async def test_message_grows_and_ends_with_its_buttons(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await grow(channel, "one two", "one two three", "one two three four")
    assert slack.shown("general") == ["one two "]
    await channel.edit(message, "one two three four", controls=AGAIN)
    assert slack.shown("general") == ["one two three four"]
    (shown,) = ours(slack)
    assert [block["type"] for block in shown["blocks"]] == ["markdown", "actions", "context_actions"]
    assert shown["metadata"] == metadata("k1")
    assert methods(slack) == ["startStream", "appendStream", "stopStream"]
    assert not slack.api.streams


async def test_message_that_is_whole_at_once_is_no_stream(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    await channel.send("one", key="k1", controls=AGAIN)
    assert methods(slack) == ["postMessage"]


async def test_text_that_turns_out_otherwise_goes_on_by_edits(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await grow(
        channel, "see the page", "see the page here", "see [the page here](https://example.org) and"
    )
    assert slack.shown("general") == ["see [the page here](https://example.org) and"]
    await channel.edit(message, "see [the page here](https://example.org) and more", controls=AGAIN)
    assert slack.shown("general") == ["see [the page here](https://example.org) and more"]
    assert methods(slack)[-3:] == ["stopStream", "update", "update"]


async def test_stream_is_ended_before_slack_does_it(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await grow(channel, "one two", "one two three")
    slack.pass_time(241)
    await channel.edit(message, "one two three four", grows=True)
    assert not slack.api.streams
    await channel.edit(message, "one two three four five", controls=AGAIN)
    assert slack.shown("general") == ["one two three four five"]
    assert ours(slack)[0]["metadata"] == metadata("k1")


@pytest.mark.parametrize("grows", [True, False])
async def test_stream_that_slack_has_ended_is_rescued(
    slack: FakeSlack, client: AsyncWebClient, grows: bool
) -> None:
    channel = await channel_in(slack, client)
    message = await grow(channel, "one two", "one two three")
    slack.api.streams.clear()
    await channel.edit(message, "one two three four five", grows=grows)
    assert slack.shown("general") == ["one two three four five"]
    assert ours(slack)[0]["metadata"] == metadata("k1")


@pytest.mark.parametrize("fault", ["cut before", "cut after", "500"])
@pytest.mark.parametrize("method", ["chat.appendStream", "chat.stopStream"])
async def test_what_may_have_been_appended_is_not_appended_twice(
    slack: FakeSlack, client: AsyncWebClient, method: str, fault: str
) -> None:
    channel = await channel_in(slack, client)
    message = await grow(channel, "one two", "one two three")
    slack.fail(method, fault)
    with pytest.raises(Unavailable) as caught:
        await channel.edit(message, "one two three four", grows=method == "chat.appendStream")
    assert caught.value.in_doubt
    await channel.edit(message, "one two three four five", controls=AGAIN)
    assert slack.shown("general") == ["one two three four five"]
    assert not slack.api.streams


@pytest.mark.parametrize("method", ["chat.appendStream", "chat.stopStream"])
async def test_what_slack_would_not_take_yet_is_tried_again(
    slack: FakeSlack, client: AsyncWebClient, method: str
) -> None:
    channel = await channel_in(slack, client)
    message = await grow(channel, "one two", "one two three")
    slack.fail(method, "429", after=3)
    with pytest.raises(Limited) as caught:
        await channel.edit(message, "one two three four", grows=method == "chat.appendStream")
    assert (caught.value.after, caught.value.everywhere) == (3.0, True)
    await channel.edit(message, "one two three four")
    assert slack.shown("general") == ["one two three four"]
    assert "update" not in methods(slack)


@pytest.mark.parametrize("error", ["channel_type_not_supported", "no_permission", "unknown_method"])
async def test_where_there_are_no_streams_messages_are_posted(
    slack: FakeSlack, client: AsyncWebClient, error: str
) -> None:
    channel = await channel_in(slack, client)
    slack.api.refuse_streams = error
    message = await grow(channel, "one two", "one two three")
    assert slack.shown("general") == ["one two three"]
    await channel.send("another", key="k2", grows=True)
    assert len(slack.calls("chat.startStream")) == 1, "it is not asked for again"
    await channel.edit(message, "done")
    assert slack.shown("general") == ["done", "another"]


async def test_stream_that_may_have_been_begun_is_found(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    assert await channel.find("k1", "one two") is None
    slack.fail("chat.startStream", "cut after")
    with pytest.raises(Unavailable) as caught:
        await channel.send("one two", key="k1", grows=True)
    assert caught.value.in_doubt
    found = await channel.find("k1", "one two")
    assert found is not None
    await channel.edit(found, "one two three", controls=AGAIN)
    assert slack.shown("general") == ["one two three"]


async def test_other_messages_are_not_taken_for_it(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    first = await grow(channel, "one two", "one two three")
    await channel.send("a whole one", key="k2")
    await slack.bot_says("of another app", room="general", thread=next(iter(slack.place("general").messages)))
    assert await channel.find("k3", "more") is None
    assert await channel.find("k2", "a whole one") != first


async def test_whoever_takes_over_ends_the_stream_and_names_it(slack: FakeSlack, client: AsyncWebClient) -> None:
    message = await grow(await channel_in(slack, client), "one two", "one two three")
    heir = await channel_in(slack, client, {message: "k1"})
    await heir.edit(message, "one two three four", grows=True)
    assert slack.shown("general") == ["one two three four"]
    assert ours(slack)[0]["metadata"] == metadata("k1")
    assert not slack.api.streams


async def test_stream_that_was_taken_away_is_gone(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await grow(channel, "one two", "one two three")
    await slack.deleted(message)
    with pytest.raises(MessageGone):
        await channel.edit(message, "one two three four", grows=True)


@pytest.mark.parametrize("stream", ["auto", "edits"])
async def test_answer_in_a_thread_grows_as_it_is_set(
    slack: FakeSlack, settings: SlackSettings, store: Store, stream: Literal["auto", "edits"]
) -> None:
    adapter = SlackAdapter(replace(settings, stream=stream), store.fleet, pace=BRISK, stream_pace=BRISK)
    async with running(adapter, store=store, engine=ScriptedEngine(delay=0.1)):
        await slack.say("@trialogue " + "word " * 40 + "end", room="general")
        await slack.until(lambda: any(text.endswith("end") for text in slack.shown("general")), within=40)
        await slack.until(lambda: not slack.api.streams)
    assert len(slack.shown("general")) == 1
    called = [method for method in methods(slack) if method in {"startStream", "appendStream", "update"}]
    assert set(called) == ({"startStream", "appendStream"} if stream == "auto" else {"update"})


async def test_who_stops_a_stream_at_slack_stops_the_answer(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    dialogue = DialogueSettings(window=1_000_000, controls=True)
    async with running(adapter, store=store, engine=ScriptedEngine(delay=0.2), dialogue=dialogue):
        await slack.say("@trialogue " + "word " * 200 + "end", room="general")
        await slack.until(lambda: any("word" in text for text in slack.shown("general")))
        [message] = ours(slack)
        slack.api.stopped.add(message["ts"])
        await slack.until(lambda: any(text.endswith("_Stopped._") for text in slack.shown("general")))
        await slack.until(lambda: len(message.get("blocks", ())) > 1)
    [text] = slack.shown("general")
    assert text.startswith("You said: word")
    assert "end" not in text


async def test_direct_message_outside_a_thread_grows_by_edits(
    slack: FakeSlack, adapter: SlackAdapter, store: Store
) -> None:
    async with running(adapter, store=store, engine=ScriptedEngine(delay=0.1)):
        await slack.say("word " * 30 + "end")
        await slack.until(lambda: any(text.endswith("end") for text in slack.shown("ann")), within=40)
    assert not slack.calls("chat.startStream")


@pytest.mark.parametrize(
    "faults",
    [
        {"chat.startStream": ["cut after"]},
        {"chat.startStream": ["429", "cut before"], "chat.stopStream": ["500", "cut after"]},
        {"chat.appendStream": ["cut after"], "chat.stopStream": ["cut after"], "chat.update": ["cut after"]},
        {"chat.appendStream": ["message_not_in_streaming_state"]},
    ],
)
async def test_answer_is_one_message_whatever_goes_wrong(
    slack: FakeSlack, settings: SlackSettings, store: Store, faults: dict[str, list[str]]
) -> None:
    for method, several in faults.items():
        slack.fail(method, *several)
    text = " ".join(f"w{number}" for number in range(30))
    adapter = SlackAdapter(settings, store.fleet, pace=BRISK, stream_pace=BRISK)
    async with running(adapter, store=store, engine=ScriptedEngine(delay=0.1)):
        await slack.say(f"@trialogue {text}", room="general")
        await slack.until(lambda: slack.shown("general") == [f"You said: {text}"], within=40)
        await slack.until(lambda: not slack.api.streams)
