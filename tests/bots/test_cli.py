"""The command `trialogue` as a person runs it: a process of its own, with the embedded store."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, STDOUT, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from bots.settings import COMMON_NAMES, PREFIX
from core import notices
from core.store.client import StoreSettings
from core.store.embedded import embedded
from core.store.folds import Fold
from core.store.store import open_store
from tests.adapters.web.tab import Tab
from tests.core.store.servers import end_leases

ROOT = Path(__file__).parents[2]
SECONDS = 45.0


class Command:
    """`trialogue` in a folder of its own, started as often as a test needs."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.output = ""

    async def start(self, *arguments: str, **settings: str) -> Process:
        inherited = {k: v for k, v in os.environ.items() if k not in COMMON_NAMES and not k.startswith(PREFIX)}
        environment = {
            "TRIALOGUE_DATA_DIR": str(self.folder / "data"),
            "TRIALOGUE_MODEL__NAME": "echo",
            "TRIALOGUE_HTTP__PORT": "0",
            "XDG_CONFIG_HOME": str(self.folder),
            "PYTHONPATH": str(ROOT),
            "COLUMNS": "200",
        }
        return await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "bots", *arguments),
            cwd=self.folder,
            env=inherited | environment | settings,
            stdin=PIPE,
            stdout=PIPE,
            stderr=STDOUT,
        )

    async def end_leases(self) -> None:
        """What a bot left that was killed may be taken over, as if it had been away for long."""
        async with embedded(self.folder / "data" / "redis") as url:
            await asyncio.to_thread(end_leases, url)

    async def ends(self, *arguments: str, **settings: str) -> int:
        """Run to the end; `output` is what was printed."""
        process = await self.start(*arguments, **settings)
        async with asyncio.timeout(SECONDS):
            output, _ = await process.communicate()
        self.output = output.decode()
        return process.returncode or 0

    @asynccontextmanager
    async def running(self, *arguments: str, **settings: str) -> AsyncIterator[tuple[Process, str]]:
        """The bot, with the address that it says it listens on. It is ended with Ctrl-C."""
        process = await self.start("run", *arguments, **settings)
        assert process.stdout is not None
        try:
            async with asyncio.timeout(SECONDS):
                line = ""
                while "http://" not in line:
                    raw = await process.stdout.readline()
                    line = raw.decode()
                    self.output += line
                    assert raw, self.output
            yield process, line[line.index("http://") :].strip()
        finally:
            if process.returncode is None:
                process.send_signal(signal.SIGINT)
                async with asyncio.timeout(SECONDS):
                    output, _ = await process.communicate()
                self.output += output.decode()


@asynccontextmanager
async def page(url: str, cookie: str = "") -> AsyncIterator[Tab]:
    async with asyncio.TaskGroup() as group:
        tab = Tab(url, cookie)
        task = group.create_task(tab.run())
        try:
            yield tab
        finally:
            task.cancel()


@pytest.fixture
def command(tmp_path: Path) -> Command:
    return Command(tmp_path)


async def test_question_on_the_page_is_answered_and_remembered_after_a_restart(command: Command) -> None:
    async with command.running() as (process, url), page(url) as tab:
        await tab.say("hello")
        await tab.until(lambda: tab.texts() == ["You said: hello"])
        cookie = tab.cookie
    assert process.returncode == 0, command.output
    async with command.running() as (_, url), page(url, cookie) as tab:
        await tab.until(lambda: tab.texts() == ["You said: hello"])
    assert await command.ends("memory", "export") == 0
    assert '"You said: hello"' in command.output


async def test_ctrl_c_in_the_middle_of_a_reply_ends_it_with_a_word(command: Command) -> None:
    async with (
        command.running(TRIALOGUE_MODEL__DELAY="0.05") as (process, url),
        page(url) as tab,
        asyncio.timeout(SECONDS),
    ):
        await tab.say("word " * 1000)
        await tab.until(lambda: "word" in "".join(tab.texts()))
        process.send_signal(signal.SIGINT)
        await tab.until(lambda: notices.SHUTDOWN.strip("_") in "".join(tab.texts()))
        assert await process.wait() == 0


async def test_message_taken_before_a_kill_is_answered_after_the_restart(command: Command) -> None:
    async with command.running(TRIALOGUE_MODEL__DELAY="0.05") as (process, url), page(url) as tab:
        await tab.say("word " * 100)
        await tab.until(lambda: "word" in "".join(tab.texts()))
        cookie = tab.cookie
        process.kill()
        await process.wait()
    await command.end_leases()
    async with command.running() as (_, url), page(url, cookie) as tab:
        await tab.until(lambda: "".join(tab.texts()).count("word") == 100)
        await tab.until(lambda: bool(tab.final))
        assert len(tab.texts()) == 1


async def test_terminal_answers_lines_from_a_pipe(command: Command) -> None:
    process = await command.start("chat")
    async with asyncio.timeout(SECONDS):
        output, _ = await process.communicate(b"hello\n/quit\n")
    assert process.returncode == 0, output
    assert "You said: hello" in output.decode()


async def test_platform_named_without_a_token_is_a_clear_error(command: Command) -> None:
    assert await command.ends("run", "telegram") == 1
    assert "telegram has no token" in command.output
    assert "Traceback" not in command.output


async def test_redis_that_is_away_at_the_start_is_a_clear_error(command: Command) -> None:
    assert await command.ends("run", TRIALOGUE_REDIS__URL="redis://:hunter2@127.0.0.1:1/0") == 1
    assert "127.0.0.1:1" in command.output
    assert "hunter2" not in command.output
    assert "Traceback" not in command.output


async def test_model_that_is_not_there_is_a_clear_error(command: Command) -> None:
    assert await command.ends("run", TRIALOGUE_MODEL__NAME="./no/such/folder") == 1
    assert "no/such/folder" in command.output
    assert "Traceback" not in command.output


async def test_port_that_is_taken_is_a_clear_error(command: Command) -> None:
    async with command.running() as (_, url):
        other = Command(command.folder)
        assert await other.ends("run", TRIALOGUE_HTTP__PORT=url.rsplit(":", 1)[1]) == 1
        assert "port" in other.output
        assert "Traceback" not in other.output


async def test_data_folder_that_cannot_be_made_is_a_clear_error(command: Command) -> None:
    blocked = command.folder / "file"
    blocked.write_text("")
    assert await command.ends("run", TRIALOGUE_DATA_DIR=str(blocked / "data")) == 1
    assert str(blocked) in command.output
    assert "Traceback" not in command.output


async def test_memory_is_listed_shown_and_forgotten(command: Command) -> None:
    assert await command.ends("memory", "show") == 0
    assert "Nothing is remembered yet" in command.output
    process = await command.start("chat")
    async with asyncio.timeout(SECONDS):
        await process.communicate(b"hello\n/quit\n")
    assert await command.ends("memory", "show") == 0
    name = next(word for word in command.output.split() if word.startswith("terminal/"))
    assert await command.ends("memory", "show", name) == 0
    assert "You said: hello" in command.output
    await summarise(command, "Somebody says hello [and] is greeted.")
    assert await command.ends("memory", "show", name) == 0
    assert "summary of 1 to 2\nSomebody says hello [and] is greeted.\n" in command.output
    assert await command.ends("memory", "forget", name, "--yes") == 0
    assert await command.ends("memory", "show") == 0
    assert name not in command.output


async def summarise(command: Command, text: str) -> None:
    """As a worker does it with the one conversation that there is."""
    async with open_store(StoreSettings(data_dir=command.folder / "data")) as store:
        [conversation] = [each async for each in store.memory.conversations()]
        fold = await store.folds.take(conversation, 2)
        assert isinstance(fold, Fold)
        assert await store.folds.write(fold, text)


async def test_doctor_says_that_all_is_well_or_what_to_do(command: Command) -> None:
    assert await command.ends("doctor") == 0
    assert await command.ends("doctor", TRIALOGUE_REDIS__URL="redis://127.0.0.1:1/0") == 1
    assert "127.0.0.1:1" in command.output
