"""Trialogue under test: the command itself, with a model that says what it was told."""

import sys
from collections.abc import Mapping

from benchmarks.chaos.plan import LISTENERS, WORKERS
from benchmarks.chaos.platforms import Town
from benchmarks.chaos.processes import Program, Start

NAME = "Trialogue"


def programs(town: Town, store: str, folder: str) -> Mapping[str, Start]:
    """Listeners and workers, which find the platforms of `town` and the server at the URL `store`."""
    settings = {
        "TRIALOGUE_DATA_DIR": f"{folder}/data",
        "TRIALOGUE_MODEL__NAME": "echo",
        "TRIALOGUE_HTTP__PORT": "0",
        "TRIALOGUE_REDIS__URL": store,
        "TRIALOGUE_DISCORD__TOKEN": town.discord.fake.token,
        "TRIALOGUE_DISCORD__API_BASE": town.discord.fake.api_base,
        "TRIALOGUE_TELEGRAM__TOKEN": town.telegram.fake.token,
        "TRIALOGUE_SLACK__BOT_TOKEN": town.slack.fake.bot_token,
        "TRIALOGUE_SLACK__APP_TOKEN": town.slack.fake.app_token,
        "TRIALOGUE_SLACK__API_BASE": town.slack.fake.api_base,
        "XDG_CONFIG_HOME": folder,
    }

    def process(role: str) -> Start:
        def start(called: str) -> Program:
            # Telegram's fake is told who asks, since it alone cannot know a message that is sent again.
            telegram = {"TRIALOGUE_TELEGRAM__API_BASE": f"{town.telegram.fake.api_base}/{called}"}
            return Program((sys.executable, "-m", "bots", "run", "--role", role), settings | telegram)

        return start

    return dict.fromkeys(LISTENERS, process("listen")) | dict.fromkeys(WORKERS, process("work"))
