"""Our bot on one platform, as it runs in production but for the platform's pace: `python -m benchmarks.bot SPEC`.

How often a platform lets a bot speak is not what is measured, so the windows of its pace are left out; how long
a draft waits after another one stays as it is. SPEC is JSON.
"""

import sys
from dataclasses import replace
from pathlib import Path
from typing import Literal

import msgspec
import uvloop

from adapters import Adapter
from adapters.delivery import Pace
from benchmarks.people import Account
from bots import settings
from bots.app import Plan, run_until_signal
from bots.instruments.instruments import Instruments, NoInstruments
from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from core.engine.scripted import ScriptedEngine
from core.store.client import StoreSettings
from core.store.store import open_store
from core.turns import Fleet
from core.worker import WorkerSettings


class Spec(msgspec.Struct, frozen=True, kw_only=True):
    """`delay` is that of the `echo` model, in seconds a word; `concurrency`: how many a worker answers at once.
    Traces go to `otlp_url`; "sampled" are as many as by default."""

    account: Account
    data_dir: str
    role: Literal["all", "listen", "work"] = "all"
    delay: float = 0.0
    concurrency: int = WorkerSettings().concurrency
    instruments: Literal["none", "metrics", "sampled", "traces"] = "metrics"
    otlp_url: str = ""


def _unhurried(pace: Pace) -> Pace:
    return replace(pace, room=(), bot=())


def _adapter(account: Account, fleet: Fleet) -> Adapter:
    match account.platform:
        case "telegram":
            from adapters.telegram.adapter import PRIVATE_PACE, TelegramAdapter, TelegramSettings

            telegram = TelegramSettings(token=account.token, api_base=account.api_base)
            return TelegramAdapter(telegram, fleet, private_pace=_unhurried(PRIVATE_PACE))
        case "discord":
            from adapters.discord.adapter import PACE as DISCORD_PACE
            from adapters.discord.adapter import DiscordAdapter, DiscordSettings

            discord = DiscordSettings(
                token=account.token, api_base=account.api_base, gateway_url=account.gateway_url
            )
            return DiscordAdapter(discord, fleet, pace=_unhurried(DISCORD_PACE))
        case _:
            from adapters.slack.adapter import PACE as SLACK_PACE
            from adapters.slack.adapter import SlackAdapter, SlackSettings

            slack = SlackSettings(bot_token=account.token, app_token=account.app_token, api_base=account.api_base)
            return SlackAdapter(slack, fleet, pace=_unhurried(SLACK_PACE))


def _instruments(spec: Spec) -> Instruments:
    match spec.instruments:
        case "none":
            return NoInstruments()
        case "metrics":
            return Instruments(Metrics(), None)
        case "sampled":
            told = settings.Instruments()
            return Instruments(Metrics(), Tracing.to(spec.otlp_url, told.otlp_ratio, told.otlp_per_second))
        case "traces":
            return Instruments(Metrics(), Tracing.to(spec.otlp_url))


async def main(spec: Spec) -> None:
    async with open_store(StoreSettings(data_dir=Path(spec.data_dir))) as store:
        plan = Plan(
            engine=None if spec.role == "listen" else ScriptedEngine(spec.delay),
            adapters=[_adapter(spec.account, store.fleet)],
            listen=spec.role != "work",
            alone={spec.account.platform},
            worker=WorkerSettings(concurrency=spec.concurrency),
            instruments=_instruments(spec),
            drain_seconds=0.0,
        )
        await run_until_signal(store, plan, print)


if __name__ == "__main__":
    uvloop.run(main(msgspec.json.decode(sys.argv[1], type=Spec)))
