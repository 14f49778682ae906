"""Listeners and workers as processes of their own: the command itself, and the platforms on loopback.

Whatever is killed, stopped or paused, each message is answered once, and in one message.
"""

import asyncio
import os
import signal
from asyncio.subprocess import Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from core import notices
from core.store.aside import Aside
from core.store.client import StoreSettings
from core.store.store import open_store
from tests.bots.admin.conftest import Operator
from tests.bots.test_cli import SECONDS, Command, page
from tests.bots.test_kill import remembered
from tests.core.store.events import an_event
from tests.fakes.discord import FakeDiscord
from tests.fakes.telegram import FakeTelegram

QUESTION = " ".join(f"word{number}" for number in range(60))
REPLY = f"You said: {QUESTION}"
BRISKLY = {"TRIALOGUE_MODEL__DELAY": "0.1"}  # seconds a word
SLOWLY = {"TRIALOGUE_MODEL__DELAY": "0.5"}  # a reply takes longer than another process takes to start

pytestmark = pytest.mark.slow


class Installation:
    """Processes that share a store and a bot on Telegram and Discord."""

    def __init__(self, folder: Path, telegram: FakeTelegram, discord: FakeDiscord) -> None:
        self.folder = folder
        self.telegram = telegram
        self.discord = discord
        self.settings = {
            "TRIALOGUE_TELEGRAM__TOKEN": telegram.token,
            "TRIALOGUE_TELEGRAM__API_BASE": telegram.api_base,
        }

    def with_discord(self) -> None:
        self.settings |= {
            "TRIALOGUE_DISCORD__TOKEN": self.discord.token,
            "TRIALOGUE_DISCORD__API_BASE": self.discord.api_base,
        }

    @asynccontextmanager
    async def process(self, role: str, **settings: str) -> AsyncIterator["Running"]:
        """One more process with this role, which has begun to do what it is for. It is ended with Ctrl-C."""
        command = Command(self.folder)
        async with command.running("--role", role, **self.settings, **settings) as (process, url):
            yield Running(command, process, url)

    async def remembered(self) -> list[tuple[str, str]]:
        """Who said what, in the only conversation."""
        [turns] = (await remembered(Command(self.folder))).values()
        return turns


class Running:
    """A process of the bot."""

    def __init__(self, command: Command, process: Process, url: str) -> None:
        self.process = process
        self.url = url
        self._command = command

    @property
    def output(self) -> str:
        """What it has printed, as far as it was waited for or has ended."""
        return " ".join(self._command.output.split())

    async def until_it_says(self, words: str) -> None:
        """Return when it has printed `words`, or had already."""
        assert self.process.stdout is not None
        async with asyncio.timeout(SECONDS):
            while words not in self.output:
                line = await self.process.stdout.readline()
                assert line, self.output
                self._command.output += line.decode()

    async def kill(self) -> None:
        self.process.kill()
        await self.process.wait()

    async def ends(self) -> None:
        """As `docker stop` and systemd ask it to."""
        self.process.send_signal(signal.SIGTERM)
        async with asyncio.timeout(SECONDS):
            output, _ = await self.process.communicate()
        self._command.output += output.decode()


@pytest.fixture
async def bot(tmp_path: Path) -> AsyncIterator[Installation]:
    async with FakeTelegram() as telegram, FakeDiscord() as discord:
        yield Installation(tmp_path, telegram, discord)


async def until_it_grows(telegram: FakeTelegram) -> None:
    """The reply was changed in its room since it was sent there: by then the bot knows its message."""
    await telegram.until(lambda: bool(telegram.calls("editMessageText")), within=SECONDS)


async def until_shown(telegram: FakeTelegram, *texts: str) -> None:
    await telegram.until(lambda: telegram.shown("ann") == list(texts), within=SECONDS)


async def test_killed_worker_s_reply_is_finished_by_another_in_the_same_message(bot: Installation) -> None:
    async with bot.process("listen"), bot.process("work", **SLOWLY) as doomed:
        await bot.telegram.say(QUESTION)
        await until_it_grows(bot.telegram)
        async with bot.process("work"):
            await doomed.kill()
            [before] = bot.telegram.posted("ann")
            assert before["text"] != REPLY
            await until_shown(bot.telegram, REPLY)
    assert [message["message_id"] for message in bot.telegram.posted("ann")] == [before["message_id"]]
    assert await bot.remembered() == [("user", QUESTION), ("assistant", REPLY)]


async def test_worker_answers_each_bot_of_the_listener(bot: Installation) -> None:
    async with FakeTelegram(token="7001:another-token", username="support_bot") as support:
        bot.telegram.others[support.token] = support
        bot.settings["TRIALOGUE_TELEGRAM__BOTS__SUPPORT__TOKEN"] = support.token
        async with bot.process("listen") as listener, bot.process("work"):
            await bot.telegram.say("one")
            await support.say("two")
            await until_shown(bot.telegram, "You said: one")
            await until_shown(support, "You said: two")
            await listener.until_it_says("telegram/support: listening")
        command = Command(bot.folder)
        await command.ends("doctor", "--role", "listen", **bot.settings)
        told = [line.split() for line in command.output.splitlines() if "@support_bot" in line]
        assert [line[:2] for line in told] == [["ok", "telegram/support"]], command.output


async def test_stopped_worker_hands_its_reply_over_and_says_nothing_of_it_in_the_room(bot: Installation) -> None:
    async with bot.process("listen"), bot.process("work", **SLOWLY) as stopped:
        await bot.telegram.say(QUESTION)
        await until_it_grows(bot.telegram)
        async with bot.process("work"):
            await stopped.ends()
            assert stopped.process.returncode == 0, stopped.output
            assert "handed over while answering: telegram/" in stopped.output
            await until_shown(bot.telegram, REPLY)
    assert not [edit for edit in bot.telegram.calls("editMessageText") if "restarted" in edit.params["text"]]
    assert await bot.remembered() == [("user", QUESTION), ("assistant", REPLY)]


async def test_operator_sees_the_other_processes_and_drains_one(bot: Installation) -> None:
    async with bot.process("listen") as listener, bot.process("work") as first, bot.process("work") as second:
        operator = Operator(listener.url)

        def workers(state: Any) -> dict[int, Any]:
            return {each["pid"]: each for each in state["processes"] if each["role"] == "work"}

        pids = {first.process.pid, second.process.pid}
        state = await operator.until(lambda state: workers(state).keys() == pids)
        drained = workers(state)[first.process.pid]["id"]
        assert (await operator.order({"do": "drain", "process": drained})).is_success
        await bot.telegram.say("hello")
        await until_shown(bot.telegram, "You said: hello")
        await first.kill()  # without anybody missing it
        await bot.telegram.say("again")
        await until_shown(bot.telegram, "You said: hello", "You said: again")
        await operator.until(lambda state: workers(state).keys() == {second.process.pid})


async def test_bot_that_is_alone_finishes_its_reply_when_it_is_stopped(bot: Installation) -> None:
    async with bot.process("all", **BRISKLY) as alone:
        await bot.telegram.say(QUESTION)
        await until_it_grows(bot.telegram)
        await alone.ends()
        assert alone.process.returncode == 0, alone.output
    assert bot.telegram.shown("ann") == [REPLY]


async def test_bot_that_is_alone_says_so_under_a_reply_that_outlasts_the_drain(bot: Installation) -> None:
    async with bot.process("all", TRIALOGUE_DRAIN_SECONDS="0.5", **BRISKLY) as alone:
        await bot.telegram.say(QUESTION * 10)
        await until_it_grows(bot.telegram)
        await alone.ends()
    [shown] = bot.telegram.shown("ann")
    assert shown.endswith(notices.SHUTDOWN.strip("_"))


async def test_killed_listener_is_followed_by_the_one_that_stands_by_and_nothing_is_lost_or_doubled(
    bot: Installation,
) -> None:
    bot.with_discord()
    telegram, discord = bot.telegram, bot.discord
    async with bot.process("work"), bot.process("listen") as first, bot.process("listen") as second:
        await first.until_it_says("telegram: listening")
        await first.until_it_says("discord: listening")
        await second.until_it_says("telegram: standing by")
        await second.until_it_says("discord: standing by")
        await discord.until_connected()
        discord.say("one", room="general", mention=True)
        await telegram.until(lambda: bool(telegram.calls("getUpdates")), within=SECONDS)
        with telegram.hold("getUpdates"):  # so that Telegram is never told that the bot has it
            await telegram.say("one")
            await until_shown(telegram, "You said: one")
            await discord.until(lambda: discord.shown("general") == ["You said: one"], within=SECONDS)
            await first.kill()
        await telegram.say("two")
        discord.say("two", room="general", mention=True)
        await until_shown(telegram, "You said: one", "You said: two")
        both = ["You said: one", "You said: two"]
        await discord.until(lambda: discord.shown("general") == both, within=SECONDS)
        await telegram.until(lambda: telegram.unconfirmed == 0, within=SECONDS)
    assert telegram.shown("ann") == discord.shown("general") == both
    assert discord.gateway.identified == 2
    assert "another process receives" not in second.output


async def test_stopped_listener_is_followed_at_once(bot: Installation) -> None:
    async with bot.process("work"), bot.process("listen") as first, bot.process("listen") as second:
        await first.until_it_says("telegram: listening")
        await second.until_it_says("telegram: standing by")
        await first.ends()
        assert first.process.returncode == 0, first.output
        await second.until_it_says("telegram: listening")
        await bot.telegram.say("hello")
        await until_shown(bot.telegram, "You said: hello")
    assert second.output.count("standing by") == 1


async def test_paused_listener_that_wakes_up_stands_by_and_answers_nothing_beside_the_new_one(
    bot: Installation,
) -> None:
    bot.with_discord()
    telegram, discord = bot.telegram, bot.discord
    async with bot.process("work"), bot.process("listen") as first, bot.process("listen") as second:
        await first.until_it_says("telegram: listening")
        await second.until_it_says("discord: standing by")
        await discord.until_connected()
        discord.say("zero", room="general", mention=True)  # only who has listened can miss something
        await discord.until(lambda: discord.shown("general") == ["You said: zero"], within=SECONDS)
        os.kill(first.process.pid, signal.SIGSTOP)
        try:
            await telegram.say("one")
            discord.say("one", room="general", mention=True)
            await until_shown(telegram, "You said: one")
            await discord.until(lambda: len(discord.shown("general")) == 2, within=SECONDS)
        finally:
            os.kill(first.process.pid, signal.SIGCONT)
        await first.until_it_says("telegram: standing by")
        await first.until_it_says("discord: standing by")
        await discord.until(lambda: discord.gateway.connected == 1, within=SECONDS)
        await telegram.say("two")
        discord.say("two", room="general", mention=True)
        await until_shown(telegram, "You said: one", "You said: two")
        await discord.until(lambda: len(discord.shown("general")) == 3, within=SECONDS)
    assert discord.shown("general") == ["You said: zero", "You said: one", "You said: two"]
    assert "another process receives" not in second.output


async def test_page_and_terminal_that_only_listen_show_what_a_worker_writes(bot: Installation) -> None:
    async with bot.process("listen") as listener, bot.process("work"), page(listener.url) as tab:
        await tab.say("hello")
        await tab.until(lambda: tab.texts() == ["You said: hello"] and bool(tab.final))
        terminal = await Command(bot.folder).start("chat", "--role", "listen")
        async with asyncio.timeout(SECONDS):
            output, _ = await terminal.communicate(b"hello there\n/quit\n")
    assert "You said: hello there" in output.decode()


async def test_worker_serves_its_health_and_no_page(bot: Installation) -> None:
    import httpx

    async with bot.process("work") as worker, httpx.AsyncClient() as client:
        assert (await client.get(f"{worker.url}/healthz")).text == "ok"
        assert (await client.get(f"{worker.url}/")).status_code == 404
        doctor = Command(bot.folder)
        assert await doctor.ends("doctor", "--role", "listen", **bot.settings) == 0
        assert "1 worker is there" in doctor.output


async def test_listener_loads_no_model_and_doctor_asks_for_none(bot: Installation) -> None:
    nowhere = {"TRIALOGUE_MODEL__NAME": "./no/such/folder"}
    async with bot.process("listen", **nowhere) as listener:
        await listener.until_it_says("telegram: listening")
    assert await Command(bot.folder).ends("doctor", "--role", "listen", **bot.settings, **nowhere) == 0


async def test_doctor_lists_what_was_set_aside_and_retry_has_it_answered(bot: Installation) -> None:
    command, event = Command(bot.folder), an_event("deadly secret")
    async with open_store(StoreSettings(data_dir=bot.folder / "data")) as store:
        await Aside(store.client, store.inbox).put(event, 3)
    assert await command.ends("doctor") == 1
    told = " ".join(command.output.split())
    assert "web: set aside after 3 tries" in told
    assert event.id in told
    assert "secret" not in told
    assert await command.ends("retry") == 2
    assert await command.ends("retry", "web/bot1/none") == 2
    assert await command.ends("retry", event.id) == 0
    assert "To be answered again: 1. No worker is there now." in command.output
    assert await command.ends("doctor") == 0
    async with (
        open_store(StoreSettings(data_dir=bot.folder / "data")) as store,
        store.inbox.watch(event.conversation) as shown,
        bot.process("work"),
        asyncio.timeout(SECONDS),
    ):
        async for change in shown:
            if change.final:
                break
    assert change.text == "You said: deadly secret"


async def test_what_was_set_aside_is_forgotten_with_all_the_rest(bot: Installation) -> None:
    command = Command(bot.folder)
    async with open_store(StoreSettings(data_dir=bot.folder / "data")) as store:
        await Aside(store.client, store.inbox).put(an_event("deadly secret"), 3)
    assert await command.ends("memory", "forget", "--all", "--yes") == 0
    assert "Forgotten: 0 conversations." in command.output
    assert await command.ends("retry", "--all") == 0
    assert "To be answered again: 0." in command.output
