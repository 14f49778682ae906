"""Settings that are read again while the bot runs: a process of its own, on Telegram's fake."""

import signal
from pathlib import Path

import pytest

from tests.bots.test_cli import Command
from tests.bots.test_roles import Running
from tests.fakes.telegram import FakeTelegram

pytestmark = pytest.mark.slow


async def test_hangup_has_the_settings_read_again(tmp_path: Path) -> None:
    file = tmp_path / "trialogue.toml"
    async with FakeTelegram() as telegram:
        token = {"TRIALOGUE_TELEGRAM__TOKEN": telegram.token, "TRIALOGUE_TELEGRAM__API_BASE": telegram.api_base}
        command = Command(tmp_path)
        async with command.running(**token) as (process, url):
            bot = Running(command, process, url)
            await bot.until_it_says("telegram: listening")
            ann, _, _ = (await telegram.say("one", person="ann")).partition("/")
            await telegram.until(lambda: telegram.shown("ann") == ["You said: one"])

            file.write_text(f'access.deny = ["telegram/person/{ann}"]\n')
            process.send_signal(signal.SIGHUP)
            await bot.until_it_says("the settings were read again")
            await telegram.say("two", person="ann")
            await telegram.say("three", person="bob")
            await telegram.until(lambda: telegram.shown("bob") == ["You said: three"])
            assert telegram.shown("ann") == ["You said: one"]

            file.write_text("access.denny = []\n")
            process.send_signal(signal.SIGHUP)
            await bot.until_it_says("the settings stay as they were: access.denny is no setting; did you mean")
            await telegram.say("four", person="ann")
            await telegram.say("five", person="bob")
            await telegram.until(lambda: telegram.shown("bob")[-1] == "You said: five")
            assert telegram.shown("ann") == ["You said: one"], "what was set before still holds"
