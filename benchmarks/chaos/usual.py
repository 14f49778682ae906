"""The usual bot under test, as processes like ours: `benchmarks.chaos.usual_bot` is what they run."""

import json
import sys
from collections.abc import Mapping

from benchmarks.chaos.plan import LISTENERS, WORKERS
from benchmarks.chaos.platforms import Town
from benchmarks.chaos.processes import Program, Start

NAME = "the usual bot"


def programs(town: Town, store: str, folder: str) -> Mapping[str, Start]:  # noqa: ARG001 - it has no files
    """Listeners and workers, which find the platforms of `town` and the server at the URL `store`."""

    def process(role: str) -> Start:
        def start(called: str) -> Program:
            settings = {
                "redis": store,
                "discord_token": town.discord.fake.token,
                "discord_api": town.discord.fake.api_base,
                "discord_gateway": town.discord.fake.gateway_url,
                "telegram_token": town.telegram.fake.token,
                "telegram_api": f"{town.telegram.fake.api_base}/{called}/bot",
                "slack_bot_token": town.slack.fake.bot_token,
                "slack_app_token": town.slack.fake.app_token,
                "slack_api": town.slack.fake.api_base,
            }
            return Program((sys.executable, "-m", "benchmarks.chaos.usual_bot", role, json.dumps(settings)))

        return start

    return dict.fromkeys(LISTENERS, process("listen")) | dict.fromkeys(WORKERS, process("work"))
