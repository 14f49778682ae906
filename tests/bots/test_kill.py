"""kill -9, of the bot and of its store, while people wait: the command itself, and the platforms on loopback.

Whatever is killed, each room ends with one whole reply and memory with one question and one answer.
"""

import asyncio
import json
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from pathlib import Path
from typing import Literal

import pytest

from adapters.markdown import plain
from core.store.scripts import ScriptName
from tests.bots.test_cli import SECONDS, Command
from tests.core.store.lossy import lossy
from tests.core.store.servers import RedisServer
from tests.fakes.discord import FakeDiscord
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT
from tests.fakes.telegram import FakeTelegram

QUESTION = " ".join(f"word{number}" for number in range(60))
REPLY = f"You said: {QUESTION}"
AGAIN = "and again"
PAIR = [("user", QUESTION), ("assistant", REPLY)]
SLOWLY = {"TRIALOGUE_MODEL__DELAY": "0.1"}  # seconds a word
AWAY = 8.0  # longer than one call to the store is tried

_SEND = "POST", "/channels/{channel_id}/messages"
_EDIT = "PATCH", "/channels/{channel_id}/messages/{message_id}"

pytestmark = pytest.mark.slow


class Town:
    """One bot on three platforms, and Ann, who writes to it on each."""

    def __init__(self, telegram: FakeTelegram, discord: FakeDiscord, slack: FakeSlack) -> None:
        self.telegram = telegram
        self.discord = discord
        self.slack = slack
        self.settings = {
            "TRIALOGUE_TELEGRAM__TOKEN": telegram.token,
            "TRIALOGUE_TELEGRAM__API_BASE": telegram.api_base,
            "TRIALOGUE_DISCORD__TOKEN": discord.token,
            "TRIALOGUE_DISCORD__API_BASE": discord.api_base,
            "TRIALOGUE_SLACK__BOT_TOKEN": slack.bot_token,
            "TRIALOGUE_SLACK__APP_TOKEN": slack.app_token,
            "TRIALOGUE_SLACK__API_BASE": slack.api_base,
        }

    async def ask(self) -> None:
        await self.discord.until_connected()
        await self.slack.connected()
        await self.say(QUESTION)

    async def say(self, text: str) -> None:
        await self.telegram.say(text)
        self.discord.say(text)
        await self.slack.say(text)

    @property
    def secrets(self) -> list[str]:
        """What must stand in no log."""
        return ["word1", self.telegram.token, self.discord.token, self.slack.bot_token, self.slack.app_token]

    async def until_each_grows(self) -> None:
        """Each reply was changed in its room since it was sent there: by then the bot knows its message."""
        await self.telegram.until(lambda: bool(self.telegram.calls("editMessageText")), within=SECONDS)
        await self.discord.until(lambda: bool(self.discord.calls(*_EDIT)), within=SECONDS)
        await self.slack.until(lambda: bool(self.slack.calls("chat.update")), within=SECONDS)

    def nothing_can_be_sent(self) -> AbstractContextManager[object]:
        """While the block lasts the platforms are silent when the bot sends its first message."""
        stack = ExitStack()
        stack.enter_context(self.telegram.hold("sendMessage"))
        stack.enter_context(self.discord.hold(*_SEND))
        stack.enter_context(self.slack.hold("chat.postMessage"))
        return stack

    async def until_each_is_tried(self) -> None:
        """The bot has accepted all, and begins to answer."""
        await self.telegram.until(lambda: bool(self.telegram.calls("sendMessage")), within=SECONDS)
        await self.discord.until(lambda: bool(self.discord.calls(*_SEND)), within=SECONDS)
        await self.slack.until(lambda: bool(self.slack.calls("chat.postMessage")), within=SECONDS)

    async def until_each_is_whole(self) -> None:
        await self.until_each_shows(REPLY)

    async def until_each_shows(self, *replies: str) -> None:
        await self.telegram.until(lambda: self.telegram.shown("ann") == [*replies], within=SECONDS)
        await self.discord.until(lambda: self.discord.shown("ann") == [*replies], within=SECONDS)
        await self.slack.until(lambda: self.on_slack() == [*replies], within=SECONDS)

    async def until_each_ends_with(self, reply: str) -> None:
        await self.telegram.until(lambda: self.telegram.shown("ann")[-1:] == [reply], within=SECONDS)
        await self.discord.until(lambda: self.discord.shown("ann")[-1:] == [reply], within=SECONDS)
        await self.slack.until(lambda: self.on_slack()[-1:] == [reply], within=SECONDS)

    def messages(self) -> list[str]:
        """The platforms' own ids of what the bot has said to Ann."""
        return [
            *(str(message["message_id"]) for message in self.telegram.posted("ann")),
            *(message.id for message in self.discord.written("ann")),
            *(ts for ts, message in self.slack.direct("ann").messages.items() if message.get("user") == BOT),
        ]

    def replies(self) -> list[str]:
        return [*self.telegram.shown("ann"), *self.discord.shown("ann"), *self.on_slack()]

    def on_slack(self) -> list[str]:
        return [plain(text) for text in self.slack.shown("ann")]


async def remembered(command: Command, **settings: str) -> dict[str, list[tuple[str, str]]]:
    """Who said what in each conversation, as `trialogue memory export` has it."""
    assert await command.ends("memory", "export", **settings) == 0, command.output
    turns: dict[str, list[tuple[str, str]]] = {}
    for line in command.output.splitlines():
        entry = json.loads(line)
        if entry["record"] == "said":
            turns.setdefault(entry["place"], []).append((entry["turn"]["role"], entry["turn"]["text"]))
    return turns


def server_of(folder: Path) -> int:
    """The process id of the embedded server whose files are in `folder`."""
    [pid] = [
        int(process.name)
        for process in Path("/proc").iterdir()
        if process.name.isdecimal() and _is_server(process, folder)
    ]
    return pid


def _is_server(process: Path, folder: Path) -> bool:
    try:
        program = (process / "cmdline").read_bytes().partition(b" ")[0].partition(b"\0")[0]
        return program.endswith((b"valkey-server", b"redis-server")) and (process / "cwd").readlink() == folder
    except OSError:  # it has ended, or is another user's
        return False


@pytest.fixture
async def town() -> AsyncIterator[Town]:
    async with FakeTelegram() as telegram, FakeDiscord() as discord, FakeSlack() as slack:
        yield Town(telegram, discord, slack)


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


async def test_bot_killed_in_the_middle_of_a_reply_finishes_it_in_the_same_message(
    command: Command, town: Town
) -> None:
    async with command.running(**town.settings, **SLOWLY) as (process, _):
        await town.ask()
        await town.until_each_grows()
        process.kill()
        await process.wait()
    before = town.messages()
    assert REPLY not in town.replies()
    async with command.running(**town.settings):
        await town.until_each_is_whole()
    assert len(before) == 3
    assert town.messages() == before
    assert list((await remembered(command)).values()) == [PAIR] * 3


async def test_message_accepted_before_a_kill_and_never_shown_is_answered_once(
    command: Command, town: Town
) -> None:
    async with command.running(**town.settings, **SLOWLY) as (process, _):
        with town.nothing_can_be_sent():
            await town.ask()
            await town.until_each_is_tried()
            process.kill()
            await process.wait()
    assert town.messages() == []
    await command.end_leases()
    async with command.running(**town.settings):
        await town.until_each_is_whole()
    assert len(town.messages()) == 3
    assert list((await remembered(command)).values()) == [PAIR] * 3


async def test_store_killed_in_the_middle_of_a_reply_comes_back_and_the_reply_goes_on(
    command: Command, town: Town
) -> None:
    folder = command.folder / "data" / "redis"
    async with command.running(**town.settings, **SLOWLY) as (process, _):
        await town.ask()
        await town.until_each_grows()
        before, server = town.messages(), server_of(folder)
        os.kill(server, signal.SIGKILL)
        assert REPLY not in town.replies()
        await town.until_each_is_whole()
        assert process.returncode is None
        assert server_of(folder) != server
    assert town.messages() == before
    assert not [secret for secret in town.secrets if secret in command.output]
    assert list((await remembered(command)).values()) == [PAIR] * 3


@pytest.fixture
def server() -> Iterator[RedisServer]:
    with RedisServer() as server:
        yield server


@pytest.mark.parametrize(
    ("step", "held"),
    [("showing", "answer"), ("shown", "request"), ("complete", "answer")],
    ids=["before the call", "after the call", "after complete"],
)
async def test_bot_killed_at_one_step_of_a_turn_answers_once(
    command: Command, town: Town, server: RedisServer, step: ScriptName, held: Literal["request", "answer"]
) -> None:
    async with (
        lossy(server.folder, server.url) as (way, url),
        way.holding(step, held) as is_held,
        command.running(**town.settings, TRIALOGUE_REDIS__URL=url) as (process, _),
    ):
        await town.ask()
        async with asyncio.timeout(SECONDS):
            await is_held.wait()
        process.kill()
        await process.wait()
    server.end_leases()
    async with command.running(**town.settings, TRIALOGUE_REDIS__URL=server.url):
        await town.until_each_ends_with(REPLY)
    # Telegram alone cannot tell whether a message was sent whose answer nobody got: it is sent again.
    assert len(town.telegram.shown("ann")) <= (2 if step in ("shown", "complete") else 1)
    assert town.discord.shown("ann") == town.on_slack() == [REPLY]
    assert list((await remembered(command, TRIALOGUE_REDIS__URL=server.url)).values()) == [PAIR] * 3


@pytest.mark.timeout(150)
async def test_worker_paused_beyond_its_lease_changes_nothing_when_it_wakes_up(
    command: Command, town: Town, server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    settings = {**town.settings, "TRIALOGUE_REDIS__URL": server.url}
    successor = Command(tmp_path_factory.mktemp("successor"))
    async with command.running(**settings, **SLOWLY) as (process, _):
        await town.ask()
        await town.until_each_grows()
        before = town.messages()
        with paused(process):  # its own clock goes on
            async with successor.running("--role", "work", **settings):
                await town.until_each_is_whole()
        assert town.messages() == before
        await town.say(AGAIN)
        await town.until_each_shows(REPLY, f"You said: {AGAIN}")
    assert "lost the lease" in command.output


@pytest.mark.timeout(150)
async def test_edit_of_a_paused_worker_that_arrives_after_the_whole_reply_does_not_stay(
    command: Command, town: Town, server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> None:
    telegram, settings = town.telegram, {**town.settings, "TRIALOGUE_REDIS__URL": server.url}
    successor = Command(tmp_path_factory.mktemp("successor"))
    async with command.running(**settings, **SLOWLY) as (process, _):
        with ExitStack() as asleep, ExitStack() as on_its_way:
            on_its_way.enter_context(telegram.hold("editMessageText", only_next=True))
            await telegram.say(QUESTION)
            await telegram.until(lambda: bool(telegram.calls("editMessageText")), within=SECONDS)
            asleep.enter_context(paused(process))
            async with successor.running("--role", "work", **settings):
                await telegram.until(lambda: telegram.shown("ann") == [REPLY], within=SECONDS)
            on_its_way.close()
            await telegram.until(lambda: telegram.shown("ann") != [REPLY], within=SECONDS)
        await telegram.until(lambda: telegram.shown("ann") == [REPLY], within=SECONDS)


@contextmanager
def paused(process: Process) -> Iterator[None]:
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


async def test_reply_that_was_sent_while_the_store_was_away_is_not_sent_again(
    command: Command, town: Town, server: RedisServer
) -> None:
    telegram = town.telegram
    async with command.running(**town.settings, TRIALOGUE_REDIS__URL=server.url) as (process, _):
        with telegram.hold("sendMessage"):
            await telegram.say(QUESTION)
            await telegram.until(lambda: bool(telegram.calls("sendMessage")), within=SECONDS)
            server.kill()
        await telegram.until(lambda: len(telegram.shown("ann")) == 1, within=SECONDS)
        await asyncio.sleep(AWAY)
        server.ensure()
        await telegram.say(AGAIN)
        await telegram.until(lambda: telegram.shown("ann")[-1:] == [f"You said: {AGAIN}"], within=25.0)
        assert process.returncode is None
    assert telegram.shown("ann") == [REPLY, f"You said: {AGAIN}"]
