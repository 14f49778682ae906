"""The fake Slack, with the real SDK: what the adapter's tests rely on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Any

import aiohttp
import pytest
from aiohttp import web
from slack_sdk.errors import SlackApiError
from slack_sdk.signature import SignatureVerifier
from slack_sdk.socket_mode.aiohttp import SocketModeClient
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient
from slack_sdk.socket_mode.request import SocketModeRequest
from slack_sdk.socket_mode.response import SocketModeResponse
from slack_sdk.web.async_client import AsyncWebClient

from tests.fakes.slack import FakeSlack
from tests.fakes.slack_spec import given_spec
from tests.fakes.slack_world import BOT


@asynccontextmanager
async def api(slack: FakeSlack, token: str | None = None) -> AsyncIterator[AsyncWebClient]:
    async with aiohttp.ClientSession() as session:
        yield AsyncWebClient(
            token=slack.bot_token if token is None else token,
            base_url=slack.api_base,
            session=session,
            retry_handlers=[],
        )


async def error_of(call: Any) -> str:
    with pytest.raises(SlackApiError) as caught:
        await call
    return str(caught.value.response["error"])


class App:
    """The SDK's own Socket Mode client, which acknowledges what `takes` lets it."""

    def __init__(self) -> None:
        self.got: list[SocketModeRequest] = []
        self.takes = True

    @asynccontextmanager
    async def connected(self, slack: FakeSlack) -> AsyncIterator[None]:
        async with api(slack) as client:
            socket = SocketModeClient(app_token=slack.app_token, web_client=client)
            socket.socket_mode_request_listeners.append(self._on_request)
            await socket.connect()  # type: ignore[no-untyped-call]
            await slack.connected()
            try:
                yield
            finally:
                await socket.close()  # type: ignore[no-untyped-call]

    async def _on_request(self, client: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        self.got.append(request)
        if self.takes:
            payload = {"text": "got it"} if request.accepts_response_payload else None
            await client.send_socket_mode_response(SocketModeResponse(request.envelope_id, payload))


async def test_tokens_are_told_apart() -> None:
    async with FakeSlack() as slack:
        async with api(slack) as client:
            assert (await client.auth_test())["user_id"] == BOT
            assert await error_of(client.apps_connections_open(app_token="xapp-wrong")) == "invalid_auth"
            assert (
                await error_of(client.apps_connections_open(app_token=slack.bot_token)) == "not_allowed_token_type"
            )
        async with api(slack, "xoxb-wrong") as client:
            assert await error_of(client.auth_test()) == "invalid_auth"
        async with api(slack, "") as client:
            assert await error_of(client.auth_test()) == "not_authed"


async def test_scopes_are_needed_and_named() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        slack.api.scopes -= {"users:read"}
        slack.user("ann")
        with pytest.raises(SlackApiError) as caught:
            await client.users_info(user="U0ANN")
        assert (caught.value.response["error"], caught.value.response["needed"]) == ("missing_scope", "users:read")
        assert "chat:write" in (await client.auth_test()).headers["x-oauth-scopes"]


async def test_rooms_refuse_who_is_not_in_them() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        assert await error_of(client.chat_postMessage(channel="C0NONE", text="x")) == "channel_not_found"
        place = slack.open("elsewhere", member=False)
        assert await error_of(client.chat_postMessage(channel=place.id, text="x")) == "not_in_channel"
        place.member, place.archived = True, True
        assert await error_of(client.chat_postMessage(channel=place.id, text="x")) == "is_archived"


async def test_markdown_has_a_limit_and_stands_alone() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        channel = slack.direct("ann").id
        await client.chat_postMessage(channel=channel, markdown_text="x" * 12_000)
        assert (
            await error_of(client.chat_postMessage(channel=channel, markdown_text="x" * 12_001)) == "msg_too_long"
        )
        conflict = client.chat_postMessage(channel=channel, markdown_text="x", text="x")
        assert await error_of(conflict) == "markdown_text_conflict"
        blank = {"channel": channel, "markdown_text": " "}  # the SDK would warn of it
        assert await error_of(client.api_call("chat.postMessage", json=blank)) == "no_text"


async def test_only_own_messages_are_edited() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        ts, channel = await slack.say("mine"), slack.direct("ann").id
        assert await error_of(client.chat_update(channel=channel, ts=ts, text="x")) == "cant_update_message"
        assert await error_of(client.chat_update(channel=channel, ts="1.0", text="x")) == "message_not_found"


async def test_history_comes_in_pages_and_keeps_metadata_to_itself() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        channel = slack.direct("ann").id
        metadata = {"event_type": "e", "event_payload": {"key": "k"}}
        first = await client.chat_postMessage(channel=channel, text="one", metadata=metadata)
        await slack.say("two")
        page = await client.conversations_history(channel=channel, limit=1, include_all_metadata=True)
        assert (page["messages"][0]["text"], page["has_more"]) == ("two", True)
        cursor = page["response_metadata"]["next_cursor"]
        page = await client.conversations_history(
            channel=channel, limit=1, include_all_metadata=True, cursor=cursor
        )
        assert (page["messages"][0]["metadata"], page["has_more"]) == (metadata, False)
        page = await client.conversations_history(channel=channel)
        assert "metadata" not in page["messages"][1]
        assert not (await client.conversations_history(channel=channel, oldest=page["messages"][0]["ts"]))[
            "messages"
        ]
        assert page["messages"][1]["ts"] == first["ts"]


async def test_rates_are_kept_where_they_are_switched_on() -> None:
    async with FakeSlack(rates=True) as slack, api(slack) as client:
        ann, bob = slack.direct("ann").id, slack.direct("bob").id
        ts = (await client.chat_postMessage(channel=ann, text="one"))["ts"]
        await client.chat_postMessage(channel=bob, text="one")
        with pytest.raises(SlackApiError) as caught:
            await client.chat_postMessage(channel=ann, text="two")
        assert caught.value.response.status_code == 429
        assert int(caught.value.response.headers["Retry-After"]) >= 1
        for number in range(50):
            await client.chat_update(channel=ann, ts=ts, text=str(number))
        assert await error_of(client.chat_update(channel=ann, ts=ts, text="x")) == "ratelimited"


async def test_faults_come_once_each_and_in_order() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        slack.fail("auth.test", "500", "html", "garbage", "cut before", "fatal_error")
        for _ in range(5):
            with pytest.raises((SlackApiError, aiohttp.ClientError)):
                await client.auth_test()
        await client.auth_test()


async def test_call_that_is_cut_after_has_worked() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        slack.fail("chat.postMessage", "cut before", "cut after")
        for seen in ([], ["one"]):
            with pytest.raises(aiohttp.ClientError):
                await client.chat_postMessage(channel=slack.direct("ann").id, text="one")
            assert slack.shown("ann") == seen


async def test_url_of_socket_mode_is_good_once() -> None:
    async with FakeSlack() as slack, api(slack) as client, aiohttp.ClientSession() as session:
        url = (await client.apps_connections_open(app_token=slack.app_token))["url"]
        async with session.ws_connect(url) as socket:
            assert (await socket.receive_json())["type"] == "hello"
        with pytest.raises(aiohttp.WSServerHandshakeError):
            await session.ws_connect(url)


async def test_mention_comes_as_two_events() -> None:
    app = App()
    async with FakeSlack() as slack, app.connected(slack):
        ts = await slack.say("@trialogue 1 < 2", room="general")
        await slack.until(lambda: len(app.got) == 2)
        events = [request.payload["event"] for request in app.got]
        assert [event["type"] for event in events] == ["message", "app_mention"]
        assert {event["ts"] for event in events} == {ts}
        assert {event["text"] for event in events} == {f"<@{BOT}> 1 &lt; 2"}
        assert len({request.payload["event_id"] for request in app.got}) == 2


async def test_event_without_an_acknowledgement_comes_again() -> None:
    app = App()
    app.takes = False
    async with FakeSlack(patience=0.05) as slack, app.connected(slack):
        await slack.say("hello")
        await slack.until(lambda: len(slack.lost) == 1)
        assert [request.retry_attempt for request in app.got] == [None, 1, 2, 3]


async def test_events_are_spread_over_the_connections() -> None:
    one, two = App(), App()
    async with FakeSlack() as slack, one.connected(slack), two.connected(slack):
        await slack.connected(2)
        for _ in range(4):
            await slack.say("hello")
        await slack.until(lambda: len(one.got) == len(two.got) == 2)


async def test_redelivery_is_marked_and_the_same() -> None:
    app = App()
    async with FakeSlack() as slack, app.connected(slack):
        await slack.redeliver(await slack.say("hello"))
        await slack.until(lambda: len(app.got) == 2)
        assert app.got[0].payload == app.got[1].payload
        assert app.got[1].retry_attempt == 1


async def test_events_can_come_in_the_wrong_order() -> None:
    app = App()
    async with FakeSlack() as slack, app.connected(slack):
        with slack.reversed():
            await slack.say("one")
            await slack.say("two")
        await slack.until(lambda: len(app.got) == 2)
        assert [request.payload["event"]["text"] for request in app.got] == ["two", "one"]


async def test_command_gets_what_the_app_answers() -> None:
    app = App()
    async with FakeSlack() as slack, app.connected(slack):
        assert await slack.command("help") == {"text": "got it"}
        assert app.got[0].payload["text"] == "help"


async def test_sdk_comes_back_after_a_disconnect() -> None:
    app = App()
    async with FakeSlack() as slack, app.connected(slack):
        await slack.disconnect(close=False)
        await slack.connected()
        await slack.say("hello")
        await slack.until(lambda: len(app.got) == 1)


async def test_bot_hears_of_its_own_messages() -> None:
    app = App()
    async with FakeSlack() as slack, app.connected(slack), api(slack) as client:
        answer = await client.chat_postMessage(channel=slack.direct("ann").id, text="one")
        await client.chat_update(channel=answer["channel"], ts=answer["ts"], text="two")
        await slack.until(lambda: len(app.got) == 2)
        first, second = (request.payload["event"] for request in app.got)
        assert first["bot_id"]
        assert second["subtype"] == "message_changed"


async def test_pushed_events_are_signed_and_pushed_again() -> None:
    verdicts: list[bool] = []
    retries: list[str | None] = []

    async def receive(request: web.Request) -> web.Response:
        body = await request.read()
        headers = dict(request.headers)
        verdicts.append(SignatureVerifier(FakeSlack.signing_secret).is_valid_request(body, headers))
        retries.append(request.headers.get("X-Slack-Retry-Num"))
        assert json.loads(body)["event"]["text"] == "hello"
        return web.Response(status=200 if len(verdicts) == 3 else 503)

    app = web.Application()
    app.router.add_post("/slack/events", receive)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    try:
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        async with FakeSlack() as slack:
            push = slack.push_to(f"http://127.0.0.1:{runner.addresses[0][1]}/slack/events")
            await slack.say("hello")
            await slack.until(lambda: len(verdicts) == 3)
            assert (verdicts, retries) == ([True] * 3, [None, "1", "2"])
            assert push.answers[:2] == [503, 503]
    finally:
        await runner.cleanup()


async def test_condition_that_never_holds_says_what_was_seen() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        await client.chat_postMessage(channel=slack.direct("ann").id, text="one")
        with pytest.raises(AssertionError, match="one"):
            await slack.until(lambda: False, within=0.01)


async def test_held_call_waits_for_the_end_of_the_block() -> None:
    async with FakeSlack() as slack, api(slack) as client, asyncio.TaskGroup() as group:
        with slack.hold("auth.test"):
            call = group.create_task(client.auth_test())
            await slack.until(lambda: bool(slack.calls("auth.test")))
            assert not call.done()
        assert (await call)["ok"]


@pytest.mark.skipif(given_spec() is None, reason="TRIALOGUE_TEST_SPECS names no folder")
async def test_request_that_slack_does_not_describe_fails_the_test() -> None:
    with pytest.raises(AssertionError, match="no nonsense"):
        async with FakeSlack() as slack, api(slack) as client:
            await client.auth_test(nonsense="x")


async def test_history_is_what_was_asked_for_newest_first_and_page_by_page() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        channel = slack.place("general").id
        said = [await slack.say(str(number), room="general") for number in range(6)]
        await slack.say("under it", room="general", thread=said[0])
        asked = partial(client.conversations_history, channel=channel, oldest=said[0], latest=said[5], limit=3)
        first = await asked()
        second = await asked(cursor=first["response_metadata"]["next_cursor"])
        whole = await client.conversations_history(channel=channel, oldest=said[4], inclusive=True)
    assert [one["text"] for one in (*first["messages"], *second["messages"])] == ["4", "3", "2", "1"]
    assert (first["has_more"], second["has_more"]) == (True, False)
    assert [one["text"] for one in whole["messages"]] == ["5", "4"]


async def test_thread_comes_with_the_message_that_it_stands_under() -> None:
    async with FakeSlack() as slack, api(slack) as client:
        thread = await slack.say("above", room="general")
        first = await slack.say("one", room="general", thread=thread)
        await slack.say("two", room="general", thread=thread)
        channel = slack.place("general").id
        answer = await client.conversations_replies(channel=channel, ts=thread, oldest=first)
        (above,) = (await client.conversations_history(channel=channel))["messages"]
    assert [one["text"] for one in answer["messages"]] == ["above", "two"]
    assert (above["thread_ts"], above["reply_count"]) == (thread, 2)


async def test_reading_has_its_rate() -> None:
    async with FakeSlack(rates=True) as slack, api(slack) as client:
        channel = slack.place("general").id
        for _ in range(50):
            await client.conversations_history(channel=channel)
        assert await error_of(client.conversations_history(channel=channel)) == "ratelimited"


async def test_nobody_is_told_of_what_is_said_while_they_are_away() -> None:
    app = App()
    async with FakeSlack() as slack, api(slack) as client:
        before = slack.time()
        with slack.away():
            slack.pass_time(360)
            await slack.say("missed", person="ann")
            with pytest.raises(SlackApiError):
                await client.auth_test()
        async with app.connected(slack):
            await slack.say("heard", person="ann")
            await slack.settled()
        history = await client.conversations_history(channel=slack.direct("ann").id)
    assert [request.payload["event"]["text"] for request in app.got] == ["heard"]
    assert [one["text"] for one in history["messages"]] == ["heard", "missed"]
    assert float(history["messages"][1]["ts"]) >= before + 360
