"""The command `trialogue` in trouble, against the loopback platforms: one clear line, no traceback, no secret.

Wherever the bot can go on, it does.
"""

import asyncio
import os
import re
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import suppress
from pathlib import Path

import aiohttp
import pytest

from core import notices
from core.errors import StoreUnavailable
from tests.bots.test_cli import SECONDS, Command, page
from tests.core.engine.openai_server import OpenAIServer
from tests.core.store.servers import RedisServer, free_port
from tests.fakes.discord import FakeDiscord
from tests.fakes.slack import FakeSlack
from tests.fakes.telegram import FakeTelegram
from tests.installed import installed

PRIVATE = "zanzibar"  # in each text that a person writes here
ENDS_WITHIN = 10.0  # the promise is 5 s; a machine that runs other tests as well gets twice that
AFTER_CTRL_C = notices.SHUTDOWN.strip("_")

Platforms = dict[str, FakeDiscord | FakeTelegram | FakeSlack]


@pytest.fixture
async def platforms() -> AsyncIterator[Platforms]:
    async with FakeDiscord() as discord, FakeTelegram() as telegram, FakeSlack() as slack:
        yield {"discord": discord, "telegram": telegram, "slack": slack}


@pytest.fixture
def command(tmp_path: Path) -> Iterator[Command]:
    """Nothing that it prints may hold a secret or a person's words, and nothing that happens here is a fault."""
    command = Command(tmp_path)
    yield command
    secrets = (
        FakeTelegram().token,
        FakeDiscord().token,
        FakeSlack.bot_token,
        FakeSlack.app_token,
        *WRONG.values(),
    )
    assert not [word for word in (PRIVATE, *secrets) if word in command.output]
    assert "Traceback" not in command.output, command.output


def settings_of(platforms: Platforms, *names: str) -> dict[str, str]:
    """The environment for a bot on these platforms."""
    found: dict[str, str] = {}
    for name in names:
        match platforms[name]:
            case FakeDiscord() as discord:
                found |= {
                    "TRIALOGUE_DISCORD__TOKEN": discord.token,
                    "TRIALOGUE_DISCORD__API_BASE": discord.api_base,
                    "TRIALOGUE_DISCORD__GATEWAY_URL": discord.gateway_url,
                }
            case FakeTelegram() as telegram:
                found |= {
                    "TRIALOGUE_TELEGRAM__TOKEN": telegram.token,
                    "TRIALOGUE_TELEGRAM__API_BASE": telegram.api_base,
                }
            case FakeSlack() as slack:
                found |= {
                    "TRIALOGUE_SLACK__BOT_TOKEN": slack.bot_token,
                    "TRIALOGUE_SLACK__APP_TOKEN": slack.app_token,
                    "TRIALOGUE_SLACK__API_BASE": slack.api_base,
                }
    return found


WRONG = {
    "TRIALOGUE_DISCORD__TOKEN": "MTIzNDU2Nzg5MDEyMzQ1Njc4.wrong.token",
    "TRIALOGUE_TELEGRAM__TOKEN": "7001:wrong-token",
    "TRIALOGUE_SLACK__BOT_TOKEN": "xoxb-wrong-token",
    "TRIALOGUE_SLACK__APP_TOKEN": "xapp-wrong-token",
}
WHERE_TO_CLICK = {
    "TRIALOGUE_DISCORD__TOKEN": "https://discord.com/developers/applications",
    "TRIALOGUE_TELEGRAM__TOKEN": "https://t.me/BotFather",
    "TRIALOGUE_SLACK__BOT_TOKEN": "OAuth & Permissions",
    "TRIALOGUE_SLACK__APP_TOKEN": "App-Level Tokens",
}


def platform_of(variable: str) -> str:
    return variable.removeprefix("TRIALOGUE_").partition("__")[0].lower()


def lines_about(name: str, output: str) -> list[str]:
    return [line for line in output.splitlines() if line.startswith(f"{name}:") and "listening" not in line]


@pytest.fixture(params=WRONG, ids=lambda variable: variable.removeprefix("TRIALOGUE_").lower())
def variable(request: pytest.FixtureRequest) -> str:
    return str(request.param)


async def test_wrong_token_is_one_line_that_says_where_to_click(
    command: Command, platforms: Platforms, variable: str
) -> None:
    name = platform_of(variable)
    wrong = {variable: WRONG[variable]}
    assert await command.ends("run", name, **settings_of(platforms, name) | wrong) == 1
    (line,) = lines_about(name, command.output)
    assert WHERE_TO_CLICK[variable] in line


async def test_wrong_tokens_do_not_hold_up_the_platform_that_is_well(
    command: Command, platforms: Platforms
) -> None:
    settings = settings_of(platforms, "discord", "slack") | WRONG | settings_of(platforms, "telegram")
    async with command.running(**settings) as (process, _):
        await says(platforms["telegram"], f"hello {PRIVATE}")
        await until_shown(platforms["telegram"], f"hello {PRIVATE}")
    assert process.returncode == 0, command.output
    for variable in ("TRIALOGUE_DISCORD__TOKEN", "TRIALOGUE_SLACK__BOT_TOKEN"):
        (line,) = lines_about(platform_of(variable), command.output)
        assert WHERE_TO_CLICK[variable] in line


async def test_doctor_says_which_tokens_are_wrong_and_where_to_click(
    command: Command, platforms: Platforms
) -> None:
    settings = settings_of(platforms, "discord", "telegram", "slack") | WRONG
    assert await command.ends("doctor", **settings) == 1
    found = " ".join(row for row in rows(command.output) if row.startswith("no "))
    assert [where for where in WHERE_TO_CLICK.values() if where not in found] == []


async def test_token_that_is_refused_in_the_middle_of_a_reply_lets_it_end(
    command: Command, platforms: Platforms
) -> None:
    slack = platforms["slack"]
    assert isinstance(slack, FakeSlack)
    words = " ".join([PRIVATE, *(f"w{number}" for number in range(80))])
    async with command.running(**settings_of(platforms, "slack"), TRIALOGUE_MODEL__DELAY="0.05") as (process, _):
        await says(slack, words)
        await until_shown(slack, "w5")
        slack.fail("apps.connections.open", "token_revoked")
        slack.cut_sockets()
        await until_shown(slack, f"You said: {words}")
    assert process.returncode == 0, command.output
    (line,) = lines_about("slack", command.output)
    assert "App-Level Tokens" in line


async def test_missing_intent_is_told_and_the_bot_answers_all_the_same(
    command: Command, platforms: Platforms
) -> None:
    discord = platforms["discord"]
    assert isinstance(discord, FakeDiscord)
    discord.disallow_content()
    settings = settings_of(platforms, "discord")
    async with command.running(**settings):
        await says(discord, f"hello {PRIVATE}")
        await until_shown(discord, f"hello {PRIVATE}")
    assert "Message Content Intent" in " ".join(command.output.split())
    assert await command.ends("doctor", **settings) == 1
    (row,) = [row for row in rows(command.output) if row.startswith("no discord")]
    assert "Privileged Gateway Intents" in row


async def test_missing_scope_is_told_with_where_to_click(command: Command, platforms: Platforms) -> None:
    slack = platforms["slack"]
    assert isinstance(slack, FakeSlack)
    slack.api.scopes.discard("chat:write")
    settings = settings_of(platforms, "slack")
    async with command.running(**settings):
        await slack.say(f"hello {PRIVATE}", person="ann")
        await slack.until(lambda: bool(slack.calls("chat.postMessage")), within=SECONDS)
    told = " ".join(command.output.split())
    assert "chat:write" in told
    assert "Reinstall to Workspace" in told
    assert await command.ends("doctor", **settings) == 1
    (row,) = [row for row in rows(command.output) if row.startswith("no slack")]
    assert "chat:write" in row
    assert "Reinstall to Workspace" in row


async def test_token_that_is_polled_elsewhere_is_told_and_waited_for(
    command: Command, platforms: Platforms
) -> None:
    telegram = platforms["telegram"]
    assert isinstance(telegram, FakeTelegram)
    elsewhere = f"{telegram.api_base}/bot{telegram.token}/getUpdates"
    async with command.running(**settings_of(platforms, "telegram")), aiohttp.ClientSession() as session:
        await telegram.until(lambda: bool(telegram.calls("getUpdates")), within=SECONDS)
        async with session.post(elsewhere, json={"timeout": 30}) as answer:
            assert answer.status == 409  # in the end the bot takes over again
        await says(telegram, f"hello {PRIVATE}")
        await until_shown(telegram, f"hello {PRIVATE}")
    assert "another process receives this bot's messages" in " ".join(command.output.split())
    assert telegram.shown("ann") == [f"You said: hello {PRIVATE}"]


async def test_ctrl_c_ends_the_bot_and_every_reply_says_so(command: Command, platforms: Platforms) -> None:
    fakes = list(platforms.values())
    settings = settings_of(platforms, *platforms)
    async with command.running(**settings, TRIALOGUE_MODEL__DELAY="0.05") as (process, _):
        for fake in fakes:
            await says(fake, f"{PRIVATE} " * 1000)
        for fake in fakes:
            await until_shown(fake, f"{PRIVATE} {PRIVATE}")
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(ENDS_WITHIN):
            await process.wait()
    assert process.returncode == 0, command.output
    assert all(AFTER_CTRL_C in fake.shown("ann")[-1] for fake in fakes)


async def test_doctor_asks_the_model_server_whether_it_answers(command: Command) -> None:
    async with OpenAIServer.serve() as server:
        settings = {"TRIALOGUE_MODEL__NAME": server.model, "TRIALOGUE_MODEL__URL": server.url}
        settings["TRIALOGUE_MODEL__API_KEY"] = server.key
        await command.ends("doctor", **settings)
        settings["TRIALOGUE_EMBEDDINGS__NAME"], settings["TRIALOGUE_EMBEDDINGS__URL"] = server.model, server.url
        assert any(row.startswith(f"ok model {server.model}") for row in rows(command.output)), command.output
        await command.ends("doctor", **settings)
        row = f"ok embeddings {server.model}: vectors of 2 numbers"
        assert any(each.startswith(row) for each in rows(command.output)), command.output
    assert await command.ends("doctor", **settings) == 1
    for name in ("model", "embeddings"):
        assert any(row.startswith(f"no {name}") and "cannot be reached" in row for row in rows(command.output))


async def test_redis_with_another_password_is_one_clear_error(command: Command) -> None:
    with RedisServer(port=free_port(), options=("--requirepass", "right")) as server:
        url = server.url.replace("//", f"//:{PRIVATE}@")
        assert await command.ends("run", TRIALOGUE_REDIS__URL=url) == 1
    told = "AuthenticationError (it refuses the user or the password in redis.url)"
    assert " ".join(command.output.split()) == f"error: {server.url}: {told}"


async def test_redis_that_is_too_old_is_one_clear_error_that_says_what_is_needed(command: Command) -> None:
    with RedisServer(port=free_port(), fsync="everysec", program=installed("redis-server")) as server:
        version = server.ask("INFO", "server")["redis_version"]
        if version >= "7.2":
            pytest.skip(f"the installed Redis is {version}: too new to be too old")
        assert await command.ends("run", TRIALOGUE_REDIS__URL=server.url) == 1
    (line,) = " ".join(command.output.split()).split("error: ")[1:]
    assert line.startswith(f"{server.url} is version {version.rpartition('.')[0]}: 7.2 is needed, or from 6.2 on")


async def test_store_with_another_number_of_shards_is_one_clear_error_that_says_which(command: Command) -> None:
    assert await command.ends("memory", "show") == 0
    assert await command.ends("run", TRIALOGUE_REDIS__SHARDS="8") == 1
    assert "that cannot change: set redis.shards = 16" in " ".join(command.output.split())
    assert await command.ends("memory", "show") == 0


@pytest.fixture
def small_disk(command: Command) -> Iterator[Path]:
    """A data folder on a disk of its own, of 4 MiB."""
    if os.geteuid() != 0 or not sys.platform.startswith("linux"):
        pytest.skip("only root on Linux may mount a small disk")
    folder = command.folder / "data"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", folder], check=False, stderr=subprocess.PIPE
    )
    if mounted.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted here: {mounted.stderr.decode().strip()}")
    yield folder
    subprocess.run(["umount", "--lazy", folder], check=True)


def fill(disk: Path) -> Path:
    """Write until nothing more fits; returns the file to be removed."""
    path = disk / "fill"
    with suppress(OSError), path.open("wb", buffering=0) as file:
        while True:
            file.write(b"x" * 4096)
    return path


async def test_full_disk_is_told_and_loses_nothing_that_was_acknowledged(
    command: Command, small_disk: Path
) -> None:
    words = f"{PRIVATE} " * 60
    async with command.running(TRIALOGUE_MODEL__DELAY="0.05") as (process, url), page(url) as tab:
        assert (await tab.say(words))["type"] == "taken"
        await tab.until(lambda: PRIVATE in "".join(tab.texts()))
        filled = fill(small_disk)
        assert await tab.say(PRIVATE * 1000) | {"id": ""} == {
            "type": "refused",
            "id": "",
            "text": StoreUnavailable.reply,
        }
        filled.unlink()
        async with page(url, tab.cookie) as fresh:
            assert (await fresh.say("after"))["type"] == "taken"
            await fresh.until(lambda: len(fresh.final) == 2)
            assert fresh.texts() == [f"You said: {words}".strip(), "You said: after"]
    assert process.returncode == 0, command.output


async def test_full_disk_at_the_start_is_told_with_what_to_do(command: Command, small_disk: Path) -> None:
    fill(small_disk)
    told = f"cannot write to {small_disk}: No space left on device"
    assert await command.ends("run") == 1
    assert " ".join(command.output.split()) == f"error: {told}. Make room on its disk."
    assert await command.ends("doctor") == 1
    assert any(told in row and "Make room" in row for row in rows(command.output)), command.output


async def says(fake: FakeDiscord | FakeTelegram | FakeSlack, text: str) -> None:
    if isinstance(fake, FakeDiscord):
        await fake.until(lambda: fake.gateway.connected > 0, within=SECONDS)
        fake.say(text)
    else:
        await fake.say(text, person="ann")


async def until_shown(fake: FakeDiscord | FakeTelegram | FakeSlack, text: str) -> None:
    """Wait until Ann reads `text`."""
    await fake.until(lambda: any(text in shown for shown in fake.shown("ann")), within=SECONDS)


def rows(output: str) -> list[str]:
    """The table's rows, each in one line."""
    found: list[str] = []
    for line in output.splitlines():
        if re.match(r" *(ok|no) +\w", line):
            found.append("")
        if found:
            found[-1] = f"{found[-1]} {line}"
    return [" ".join(row.split()) for row in found]
