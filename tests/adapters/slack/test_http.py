"""Events and commands that Slack pushes by HTTP, with signatures."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import aiohttp
import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.manifest import EVENTS_PATH
from adapters.slack.settings import SlackSettings
from bots.http.server import serve
from core.errors import Refused
from core.store.store import Store
from tests.adapters.slack.conftest import listening
from tests.adapters.slack.test_listening import texts
from tests.core.store.servers import RedisServer
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_push import HttpPush


@asynccontextmanager
async def served(adapter: SlackAdapter) -> AsyncIterator[str]:
    """The adapter's routes on the application's own server; the URL for events."""
    async with asyncio.TaskGroup() as group:
        url: asyncio.Future[str] = asyncio.get_running_loop().create_future()
        server = group.create_task(serve(adapter.routes, "127.0.0.1", 0, ready=url.set_result))
        try:
            yield await url + EVENTS_PATH
        finally:
            server.cancel()


@pytest.fixture
async def push(slack: FakeSlack, http_settings: SlackSettings, store: Store) -> AsyncIterator[HttpPush]:
    adapter = SlackAdapter(http_settings, store.fleet)
    async with listening(adapter, store), served(adapter) as url:
        yield slack.push_to(url)


async def test_pushed_event_is_taken(slack: FakeSlack, push: HttpPush, store: Store) -> None:
    await slack.say("hello", person="ann")
    await slack.settled()
    assert push.answers == [200]
    assert await texts(store, slack.direct("ann").id) == ["hello"]


async def test_event_is_pushed_again_until_it_is_on_disk(
    slack: FakeSlack, push: HttpPush, store: Store, redis_server: RedisServer
) -> None:
    redis_server.kill()
    try:
        await slack.say("hello", person="ann")
        await slack.until(lambda: slack.retried >= 1)
    finally:
        redis_server.ensure()
    await slack.settled()
    assert push.answers[-1] == 200
    assert set(push.answers[:-1]) <= {503}
    assert await texts(store, slack.direct("ann").id) == ["hello"]


async def test_slack_s_check_of_the_url_is_answered(push: HttpPush) -> None:
    body = json.dumps({"type": "url_verification", "challenge": "c-1", "token": "x"})
    assert await push.post(body, "application/json", within=3.0) == {"challenge": "c-1"}


@pytest.mark.parametrize("body", ["{", "", "payload=%7B", "null"])
async def test_body_that_is_none_is_answered_and_survived(slack: FakeSlack, push: HttpPush, body: str) -> None:
    await push.post(body, "application/json", within=3.0)
    assert 200 <= push.answers[0] < 500


async def test_body_that_is_no_text_is_refused(slack: FakeSlack, push: HttpPush) -> None:
    async with aiohttp.ClientSession() as session, session.post(push.url, data=b"\xff\xfe") as answer:
        assert answer.status == 400


async def test_wrong_signature_is_refused(slack: FakeSlack, push: HttpPush, store: Store) -> None:
    other = HttpPush(push._session, push.url, "another-secret")
    await slack.say("hello", person="ann")
    await slack.settled()
    assert await other.bring(slack.brought[0], attempt=0, within=3.0) is None
    assert other.answers == [401]


async def test_old_request_is_refused(slack: FakeSlack, push: HttpPush) -> None:
    await push.post('{"type": "event_callback"}', "application/json", within=3.0, at=time.time() - 3600)
    assert push.answers == [401]


async def test_command_is_answered_to_the_person_alone(slack: FakeSlack, push: HttpPush) -> None:
    answer = await slack.command("help")
    assert answer is not None
    assert answer["response_type"] == "ephemeral"
    assert "!reset" in answer["text"]


async def test_what_we_never_asked_for_is_acknowledged(push: HttpPush) -> None:
    body = "payload=" + json.dumps(
        {"type": "block_actions", "actions": [{"action_id": "a"}], "user": {"id": "U1"}}
    )
    assert await push.post(body, "application/x-www-form-urlencoded", within=3.0) == {}


async def test_nobody_listening_is_said_so(slack: FakeSlack, http_settings: SlackSettings, store: Store) -> None:
    adapter = SlackAdapter(http_settings, store.fleet)
    async with adapter, served(adapter) as url:
        push = slack.push_to(url)
        assert await push.post("{}", "application/json", within=3.0) is None
        assert push.answers == [503]


async def test_missing_signing_secret_is_named(slack: FakeSlack, store: Store) -> None:
    settings = SlackSettings(bot_token=slack.bot_token, api_base=slack.api_base, mode="http")
    async with SlackAdapter(settings, store.fleet) as adapter:
        with pytest.raises(Refused, match="signing_secret is empty"):
            await adapter.listen(store.inbox)
