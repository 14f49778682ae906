"""One app in several workspaces, which install it by themselves: people and channels have the same ids in each of
them, and what belongs to one never gets to another.
"""

import html
import logging
import re
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

import aiohttp
import pytest

from adapters.slack.adapter import SlackAdapter
from adapters.slack.doctor import check
from adapters.slack.installations import Installations
from adapters.slack.manifest import manifest
from adapters.slack.settings import SlackSettings
from adapters.slack.waiting import Waits
from bots.bot import Bot
from core.engine.scripted import ScriptedEngine
from core.errors import Refused
from core.files.reader import FileSettings
from core.store.client import StoreSettings
from core.store.renewal import rotate
from core.store.store import Store, open_store
from core.turns import Conversation, Event, Reply, Room, Speaker
from tests.contracts.rig import BRISK
from tests.fakes.slack import FakeSlack
from tests.running import running

KEY, OTHER_KEY = "A" * 43 + "=", "B" * 42 + "A="


@pytest.fixture
def distributed(slack: FakeSlack) -> SlackSettings:
    slack.has_app = False
    return SlackSettings(
        client_id=slack.client_id,
        client_secret=slack.client_secret,
        app_token=slack.app_token,
        signing_secret=slack.signing_secret,
        api_base=slack.api_base,
        file_base=slack.file_base,
    )


@asynccontextmanager
async def bot_of(
    settings: SlackSettings,
    store: Store,
    files: FileSettings | None = None,
    clock: Callable[[], float] = time.time,
) -> AsyncIterator[Bot]:
    waits = Waits(first=0.01, longest=0.1)
    adapter = SlackAdapter(
        settings, store.fleet, vault=store.vault, waits=waits, pace=BRISK, stream_pace=BRISK, clock=clock
    )
    address = ("127.0.0.1", 0)
    async with running(adapter, store=store, engine=ScriptedEngine(), files=files, address=address) as bot:
        yield bot


@pytest.fixture
async def bot(distributed: SlackSettings, store: Store) -> AsyncIterator[Bot]:
    async with bot_of(distributed, store) as bot:
        yield bot


@pytest.fixture
def one(slack: FakeSlack) -> FakeSlack:
    return slack.workspace("ONE")


@pytest.fixture
def two(slack: FakeSlack) -> FakeSlack:
    return slack.workspace("TWO")


@pytest.fixture
async def both(slack: FakeSlack, bot: Bot, one: FakeSlack, two: FakeSlack) -> tuple[FakeSlack, FakeSlack]:
    """Two workspaces that have the app."""
    await install(bot, slack, one)
    await install(bot, slack, two)
    return one, two


async def begun(bot: Bot, session: aiohttp.ClientSession) -> tuple[str, dict[str, str]]:
    """Somebody opens the page that installs: the state in its link, and the cookie that goes with it."""
    async with session.get(f"{bot.url}/slack/install") as answer:
        page = html.unescape(await answer.text())
        [state] = re.findall(r"state=([\w-]+)", page)
        assert "users:read" in page.replace("%3A", ":")
        return state, {name: cookie.value for name, cookie in answer.cookies.items()}


async def come_back(bot: Bot, state: str, cookies: dict[str, str], code: str) -> tuple[int, str]:
    """Slack sends them back with the code that it made."""
    headers = {"Cookie": "; ".join(f"{name}={value}" for name, value in cookies.items())}
    query = {"code": code, "state": state}
    async with (
        aiohttp.ClientSession(headers=headers) as session,
        session.get(f"{bot.url}/slack/oauth_redirect", params=query) as answer,
    ):
        return answer.status, await answer.text()


async def install(bot: Bot, slack: FakeSlack, workspace: FakeSlack) -> None:
    async with aiohttp.ClientSession() as session:
        state, cookies = await begun(bot, session)
    status, page = await come_back(bot, state, cookies, slack.approve(workspace))
    assert status == 200, page


def talk(workspace: FakeSlack, channel: str) -> Conversation:
    return Conversation.of(Room("slack", f"{workspace.team}-{workspace.bot}", {}), channel)


async def test_each_workspace_is_answered_with_its_own_token(
    both: tuple[FakeSlack, FakeSlack], store: Store
) -> None:
    one, two = both
    for workspace, said in ((one, "first"), (two, "second")):
        await workspace.say(said)
        await workspace.until(lambda: workspace.shown("ann") == [f"You said: {said}"])  # noqa: B023
    assert one.direct("ann").id == two.direct("ann").id
    for workspace, said in ((one, "first"), (two, "second")):
        turns = await store.memory.turns(talk(workspace, workspace.direct("ann").id), 10)
        assert [turn.text for turn in turns] == [said, f"You said: {said}"]


async def test_the_workspace_whose_token_is_set_is_answered_beside_the_others(
    slack: FakeSlack, distributed: SlackSettings, two: FakeSlack, store: Store
) -> None:
    slack.has_app = True
    async with bot_of(replace(distributed, bot_token=slack.bot_token), store) as bot:
        await install(bot, slack, two)
        await slack.say("mine")
        await two.say("theirs")
        await slack.until(lambda: slack.shown("ann") == ["You said: mine"])
        await two.until(lambda: two.shown("ann") == ["You said: theirs"])


async def test_commands_are_those_of_their_workspace(both: tuple[FakeSlack, FakeSlack]) -> None:
    one, two = both
    await two.connected()
    answer = await two.command("help")
    assert answer is not None
    assert "/trialogue" in answer["text"]
    await two.command("persona You are a pirate.")
    await two.until(lambda: bool(two.shown("ann")))
    assert not one.shown("ann")


async def test_file_is_fetched_with_the_token_of_its_workspace(
    slack: FakeSlack, distributed: SlackSettings, one: FakeSlack, two: FakeSlack, store: Store, tmp_path: Path
) -> None:
    async with bot_of(distributed, store, files=FileSettings(folder=tmp_path, max_mb=1, max_tokens=100)) as bot:
        for workspace in (one, two):
            await install(bot, slack, workspace)
        await two.say(subtype="file_share", files=[two.upload("note.txt", b"the words in it", "text/plain")])
        await two.until(lambda: bool(two.shown("ann")))
    [asked, _] = await store.memory.turns(talk(two, two.direct("ann").id), 10)
    assert [each.text for each in asked.documents] == ["the words in it"]


async def test_what_is_pushed_by_http_goes_to_its_workspace(
    slack: FakeSlack, distributed: SlackSettings, one: FakeSlack, store: Store
) -> None:
    async with bot_of(replace(distributed, mode="http"), store) as bot:
        await install(bot, slack, one)
        push = slack.push_to(f"{bot.url}/slack/events")
        await one.say("pushed")
        await one.until(lambda: one.shown("ann") == ["You said: pushed"])
        assert set(push.answers) == {200}


async def test_installation_is_known_to_a_later_process(
    slack: FakeSlack, distributed: SlackSettings, one: FakeSlack, store: Store
) -> None:
    async with bot_of(distributed, store) as bot:
        await install(bot, slack, one)
    async with bot_of(distributed, store):
        await one.say("still there?")
        await one.until(lambda: one.shown("ann") == ["You said: still there?"])


async def test_what_each_workspace_said_in_a_long_absence_is_answered_there(
    slack: FakeSlack, distributed: SlackSettings, one: FakeSlack, two: FakeSlack, store: Store
) -> None:
    workspaces = one, two
    async with bot_of(distributed, store, clock=slack.time) as bot:
        for workspace in workspaces:
            await install(bot, slack, workspace)
            await workspace.say("before")
            await workspace.until(lambda: workspace.shown("ann") == ["You said: before"])  # noqa: B023
        with slack.away():
            for each in (slack, *workspaces):
                each.pass_time(360.0)
            for workspace in workspaces:
                with workspace.untold():
                    await workspace.say(f"missed by {workspace.team}")
        for workspace in workspaces:
            answers = ["You said: before", f"You said: missed by {workspace.team}"]
            await workspace.until(lambda: workspace.shown("ann") == answers)  # noqa: B023


async def test_workspace_that_takes_the_app_away_is_forgotten_until_it_comes_back(
    slack: FakeSlack, bot: Bot, one: FakeSlack, store: Store
) -> None:
    installations = Installations(store.vault, slack.client_id)
    await install(bot, slack, one)
    assert await installations.teams() == [one.team]
    one.pass_time(2.0)  # Slack's clock counts seconds
    await one.uninstall()
    await one.settled()
    assert await installations.teams() == []
    await one.say("nobody hears this")
    await one.settled()
    one.bot_token = "xoxb-ONE-new-token"
    slack.workspaces[one.bot_token] = one
    await install(bot, slack, one)
    await one.say("again")
    await one.until(lambda: one.shown("ann") == ["You said: again"])


async def test_late_news_of_an_end_does_not_end_what_was_installed_after_it(
    slack: FakeSlack, bot: Bot, one: FakeSlack, store: Store
) -> None:
    one.pass_time(-60.0)
    await install(bot, slack, one)
    one.push(one.wrapped({"type": "app_uninstalled"}))
    await one.notify()
    await one.settled()
    assert await Installations(store.vault, slack.client_id).teams() == [one.team]


async def test_nothing_is_delivered_to_a_workspace_that_does_not_have_the_app(
    distributed: SlackSettings, store: Store
) -> None:
    room = Room("slack", "T0GONE-U0BOT", {"channel": "C1", "thread": None, "since": "1.0"})
    event = Event(id="e", room=room, conversation=Conversation.of(room, "C1"), speaker=Speaker("U0ANN"))
    async with SlackAdapter(distributed, store.fleet, vault=store.vault) as adapter:
        with pytest.raises(Refused, match="does not have the app any more"):
            await adapter.deliver(event, cast("Reply", None))  # it is not asked for


@pytest.mark.parametrize("wrong", ["state", "cookie", "twice", "code"])
async def test_installation_that_was_not_begun_here_is_refused(
    slack: FakeSlack, bot: Bot, one: FakeSlack, store: Store, wrong: str
) -> None:
    async with aiohttp.ClientSession() as session:
        state, cookies = await begun(bot, session)
    code = "never-made" if wrong == "code" else slack.approve(one)
    if wrong == "state":
        state, cookies = "made-up", dict.fromkeys(cookies, "made-up")
    if wrong == "twice":
        assert (await come_back(bot, state, cookies, code))[0] == 200
        code = slack.approve(one)
    status, _ = await come_back(bot, state, {} if wrong == "cookie" else cookies, code)
    assert status in {400, 401}
    installed = await Installations(store.vault, slack.client_id).teams()
    assert installed == ([one.team] if wrong == "twice" else [])


async def test_tokens_are_encrypted_where_words_are_and_stand_in_no_log(
    slack: FakeSlack,
    distributed: SlackSettings,
    one: FakeSlack,
    store_settings: StoreSettings,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    async with open_store(replace(store_settings, encryption_keys=(KEY,))) as store:
        async with bot_of(distributed, store) as bot:
            await install(bot, slack, one)
            await one.say("hello")
            await one.until(lambda: one.shown("ann") == ["You said: hello"])
        kept = await store.client.read(lambda redis: redis.hgetall(store.client.keys.value("secrets")))
        assert len(kept) == 1
        assert one.bot_token.encode() not in b"".join(kept.values())
        assert one.bot_token not in repr(await Installations(store.vault, slack.client_id).of(one.team))
    async with open_store(replace(store_settings, encryption_keys=(OTHER_KEY, KEY))) as store:
        await rotate(store.client)
    async with open_store(replace(store_settings, encryption_keys=(OTHER_KEY,))) as store:
        installed = await Installations(store.vault, slack.client_id).of(one.team)
        assert installed is not None
        assert installed.token == one.bot_token
    assert one.bot_token not in caplog.text
    assert slack.client_secret not in caplog.text


async def test_app_without_its_secret_is_refused(distributed: SlackSettings, store: Store) -> None:
    settings = replace(distributed, client_secret="")
    with pytest.raises(Refused, match="client_secret"):
        await SlackAdapter(settings, store.fleet, vault=store.vault).__aenter__()


async def test_doctor_knows_the_workspaces(
    slack: FakeSlack, distributed: SlackSettings, one: FakeSlack, store: Store
) -> None:
    found = await check(distributed, store.vault)
    assert "no workspace has installed the app by itself yet" in [each.what for each in found]
    async with bot_of(distributed, store) as bot:
        await install(bot, slack, one)
    found = await check(distributed, store.vault)
    assert [each.what for each in found][:2] == [
        "1 workspace has installed the app",
        "Slack knows the bot as @trialogue in Example",
    ]
    one.has_app = False
    assert [each.ok for each in await check(distributed, store.vault)][:2] == [True, False]


def test_manifest_of_an_app_that_others_install() -> None:
    made = manifest("socket", "https://bot.example.org/", distributed=True)
    assert made["oauth_config"]["redirect_urls"] == ["https://bot.example.org/slack/oauth_redirect"]
    assert {"app_uninstalled", "tokens_revoked"} <= set(made["settings"]["event_subscriptions"]["bot_events"])
    with pytest.raises(ValueError, match=r"https://bot\.example\.org"):
        manifest("socket", distributed=True)
