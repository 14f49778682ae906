"""A fake Slack, and the adapter's own client for it."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
from slack_sdk.web.async_client import AsyncWebClient

from adapters.slack.adapter import SlackAdapter
from adapters.slack.client import open_session, web_client
from adapters.slack.settings import SlackSettings
from adapters.slack.waiting import Waits
from core.store.store import Store
from tests.fakes.slack import FakeSlack


@pytest.fixture
async def slack() -> AsyncIterator[FakeSlack]:
    async with FakeSlack() as fake:
        yield fake


@pytest.fixture
async def client(slack: FakeSlack) -> AsyncIterator[AsyncWebClient]:
    async with open_session() as session:
        yield web_client(session, token=slack.bot_token, api_base=slack.api_base)


@pytest.fixture
def settings(slack: FakeSlack) -> SlackSettings:
    return SlackSettings(bot_token=slack.bot_token, app_token=slack.app_token, api_base=slack.api_base)


@pytest.fixture
def http_settings(slack: FakeSlack) -> SlackSettings:
    return SlackSettings(
        bot_token=slack.bot_token, signing_secret=slack.signing_secret, api_base=slack.api_base, mode="http"
    )


@pytest.fixture
def adapter(slack: FakeSlack, settings: SlackSettings, store: Store) -> SlackAdapter:
    """In Socket Mode, and not patient; its clock is Slack's."""
    return SlackAdapter(settings, store.fleet, waits=Waits(first=0.01, longest=0.05), clock=slack.time)


@asynccontextmanager
async def listening(adapter: SlackAdapter, store: Store) -> AsyncIterator[None]:
    """The adapter, entered and listening; nobody answers."""
    async with adapter, asyncio.TaskGroup() as group:
        task = group.create_task(adapter.listen(store.inbox))
        try:
            yield
        finally:
            task.cancel()
