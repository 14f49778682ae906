"""One channel or thread, over the wire: what the planner may rely on, and what Slack's errors become."""

import asyncio

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.delivery import Limited, MessageGone, Unavailable
from adapters.slack.channel import SlackChannel
from adapters.slack.client import open_session, web_client
from adapters.slack.events import Address
from adapters.slack.markup import LIMIT
from adapters.slack.statuses import Statuses
from adapters.slack.uploads import Uploads
from core.errors import Refused
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT


async def channel_in(
    slack: FakeSlack, client: AsyncWebClient, *, room: str | None = None, statuses: Statuses | None = None
) -> SlackChannel:
    """Where the answer to a new message of Ann goes: her direct message, or the thread in `room`."""
    ts = await slack.say("hello", person="ann", room=room)
    place = slack.place(room) if room else slack.direct("ann")
    address = Address(place.id, ts if room else None, ts)
    asker, uploads = slack.user("ann")["id"], Uploads(client, slack.file_base)
    return SlackChannel(client, statuses or Statuses(client), uploads, address, user=BOT, asker=asker)


async def test_message_is_sent_and_edited(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await channel.send("**one**", key="k1")
    assert slack.shown("ann") == ["**one**"]
    await channel.edit(message, "# two")
    assert slack.shown("ann") == ["# two"]


async def test_reply_in_a_channel_stands_in_the_thread(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client, room="general")
    await channel.send("one", key="k1")
    assert slack.shown("general", thread=str(slack.calls("chat.postMessage")[0].params["thread_ts"])) == ["one"]


@pytest.mark.parametrize("room", [None, "general"])
async def test_message_whose_sending_was_cut_off_is_found(
    slack: FakeSlack, client: AsyncWebClient, room: str | None
) -> None:
    channel = await channel_in(slack, client, room=room)
    assert await channel.find("k1", "one") is None
    slack.fail("chat.postMessage", "cut after")
    with pytest.raises(Unavailable) as caught:
        await channel.send("one", key="k1")
    assert caught.value.in_doubt
    found = await channel.find("k1", "one")
    assert found is not None
    await channel.edit(found, "one and more")
    assert slack.shown(room or "ann") == ["one and more"]
    assert await channel.find("k2", "one") is None


async def test_message_is_found_behind_many_others(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await channel.send("one", key="k1")
    for number in range(150):
        await slack.say(str(number), person="ann")
    assert await channel.find("k1", "one") == message


async def test_call_is_never_repeated_by_the_sdk(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    slack.fail("chat.postMessage", "cut before", "500", "429")
    for _ in range(3):
        with pytest.raises((Limited, Unavailable)):
            await channel.send("one", key="k1")
    assert len(slack.calls("chat.postMessage")) == 3


async def test_429_on_a_message_pauses_the_room_as_long_as_slack_says(
    slack: FakeSlack, client: AsyncWebClient
) -> None:
    channel = await channel_in(slack, client)
    slack.fail("chat.postMessage", "429", after=7)
    with pytest.raises(Limited) as caught:
        await channel.send("one", key="k1")
    assert (caught.value.after, caught.value.everywhere) == (7.0, False)


async def test_429_on_an_edit_pauses_the_whole_bot(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await channel.send("one", key="k1")
    slack.fail("chat.update", "429", after=9)
    with pytest.raises(Limited) as caught:
        await channel.edit(message, "two")
    assert (caught.value.after, caught.value.everywhere) == (9.0, True)


@pytest.mark.parametrize(
    "fault", ["500", "html", "garbage", "cut before", "internal_error", "service_unavailable"]
)
async def test_broken_answer_is_unavailable_and_in_doubt(
    slack: FakeSlack, client: AsyncWebClient, fault: str
) -> None:
    channel = await channel_in(slack, client)
    slack.fail("chat.postMessage", fault)
    with pytest.raises(Unavailable) as caught:
        await channel.send("one", key="k1")
    assert caught.value.in_doubt


async def test_slack_that_cannot_be_reached_has_done_nothing(slack: FakeSlack) -> None:
    async with open_session() as session:
        client = web_client(session, token=slack.bot_token, api_base="http://127.0.0.1:9/api/")
        channel = await channel_in(slack, client)
        with pytest.raises(Unavailable) as caught:
            await channel.send("one", key="k1")
    assert not caught.value.in_doubt


@pytest.mark.parametrize(
    "error",
    [
        "channel_not_found",
        "not_in_channel",
        "is_archived",
        "account_inactive",
        "invalid_auth",
        "restricted_action",
    ],
)
async def test_refusal_for_good(slack: FakeSlack, client: AsyncWebClient, error: str) -> None:
    channel = await channel_in(slack, client)
    slack.fail("chat.postMessage", error)
    with pytest.raises(Refused) as caught:
        await channel.send("one", key="k1")
    assert caught.value.fix


async def test_missing_scope_is_named(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    slack.api.scopes.remove("chat:write")
    with pytest.raises(Refused, match="chat:write"):
        await channel.send("one", key="k1")


async def test_room_that_removed_the_bot_refuses(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client, room="general")
    message = await channel.send("one", key="k1")
    await slack.remove_bot("general")
    with pytest.raises(Refused):
        await channel.edit(message, "two")
    with pytest.raises(Refused, match="/invite"):
        await channel.send("two", key="k2")


async def test_message_that_was_taken_away_is_gone(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    message = await channel.send("one", key="k1")
    await slack.deleted(message)
    with pytest.raises(MessageGone):
        await channel.edit(message, "two")


@pytest.mark.parametrize("error", ["msg_too_long", "msg_blocks_too_long", "invalid_blocks"])
async def test_words_survive_a_form_that_slack_does_not_take(
    slack: FakeSlack, client: AsyncWebClient, error: str
) -> None:
    channel = await channel_in(slack, client)
    slack.fail("chat.postMessage", error)
    message = await channel.send("**one** & `two`", key="k1")
    assert slack.shown("ann") == ["one &amp; two"]
    slack.fail("chat.update", error)
    await channel.edit(message, "**three**")
    assert slack.shown("ann") == ["three"]


async def test_message_of_the_largest_size_is_taken(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    await channel.send("x" * LIMIT, key="k1")
    assert len(slack.shown("ann")[0]) == LIMIT
    assert channel.size("x" * LIMIT) == channel.limit


async def test_call_can_be_cancelled(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    with slack.hold("chat.postMessage"), pytest.raises(TimeoutError):
        async with asyncio.timeout(0.05):
            await channel.send("one", key="k1")


async def test_thread_shows_that_the_bot_thinks(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client, room="general")
    async with channel.typing():
        await slack.until(lambda: len(slack.statuses) == 1)
    assert slack.statuses[0]["status"] == "is thinking…"


async def test_direct_message_without_a_thread_has_no_status(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client)
    async with channel.typing():
        await channel.send("one", key="k1")
    assert not slack.calls("assistant.threads.setStatus")


async def test_status_that_is_not_allowed_is_asked_for_once(slack: FakeSlack, client: AsyncWebClient) -> None:
    slack.api.refuse_status = True
    statuses = Statuses(client)
    thread = await slack.say("@trialogue hello", room="general")
    for _ in range(3):
        await statuses.show(slack.place("general").id, thread)
    assert len(slack.calls("assistant.threads.setStatus")) == 1


async def test_error_within_typing_is_not_wrapped(slack: FakeSlack, client: AsyncWebClient) -> None:
    channel = await channel_in(slack, client, room="general")
    with pytest.raises(MessageGone):
        async with channel.typing():
            raise MessageGone


async def test_no_token_is_in_what_an_error_says(slack: FakeSlack) -> None:
    async with open_session() as session:
        client = web_client(session, token="xoxb-wrong-secret", api_base=slack.api_base)
        channel = await channel_in(slack, client)
        with pytest.raises(Refused) as caught:
            await channel.send("a person's words", key="k1")
    for error in (caught.value, caught.value.__cause__):
        assert "wrong-secret" not in str(error)
        assert "words" not in str(error)
