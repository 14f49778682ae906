"""What waits for bots that are in the settings no more: what the operator is told of it, and `trialogue drop`."""

import asyncio
import time
from datetime import UTC, datetime
from typing import Annotated

import typer
from rich.console import Console

from adapters import Finding
from bots import build
from bots.errors import clear_errors
from bots.settings import Settings, load
from core.names import Names, platform_of
from core.store.store import Store, open_store
from core.store.stranded import Stranded, Waiting
from core.turns import Conversation

# Those with tokens; the page and the terminal are always there.
_PLATFORMS = ("discord", "telegram", "slack")

_DAY, _HOUR = 86_400, 3_600

console = Console(highlight=False)


async def findings(settings: Settings, store: Store) -> list[Finding]:
    """One for each bot that is no more and for which something waits. No word of that."""
    return [
        Finding(False, _describe(waiting), f"Set its token again, or: trialogue drop {waiting.account}")
        for waiting in await (await _stranded(settings, store)).look()
    ]


def drop(
    context: typer.Context,
    bot: Annotated[str, typer.Argument(help="A bot that is no more, as `trialogue doctor` names it.")],
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Let go of the messages that wait for a bot that was taken out of the settings. What is remembered stays."""
    if not yes:
        typer.confirm(f"Drop for good what waits for {bot}?", abort=True)
    with clear_errors():
        asyncio.run(_drop(load(context.obj), bot))


async def _drop(settings: Settings, bot: str) -> None:
    async with open_store(build.store_settings(settings)) as store:
        count = await (await _stranded(settings, store)).drop(bot)
    if not count:
        raise typer.BadParameter(f"nothing waits for a bot {bot!r} that is no more; `trialogue doctor` names them")
    console.print(f"Dropped: {count}.")


async def _stranded(settings: Settings, store: Store) -> Stranded:
    """What waits for bots that neither these settings have nor any worker that is there."""
    names, here = Names(), set(settings.platforms)
    if "telegram" in here:
        here.remove("telegram")
        for bot in build.telegram_settings(settings):
            names.know(f"telegram/{bot.bot}", bot.adapter)
            here.add(bot.adapter)
    elsewhere = {name for worker in await store.fleet.others() for name in worker}
    # Which account has a bot that only another process's settings name cannot be known here.
    unknown = {platform_of(name) for name in elsewhere - here}

    def is_answered(conversation: Conversation) -> bool:
        return names.of(conversation) in here or conversation.platform in unknown

    return Stranded(store.client, _PLATFORMS, is_answered)


def _describe(waiting: Waiting) -> str:
    count = "1 message waits" if waiting.count == 1 else f"{waiting.count} messages wait"
    since = datetime.fromtimestamp(waiting.since, UTC)
    return (
        f"{waiting.account}: {count} for this bot, which is not in the settings, "
        f"since {since:%Y-%m-%d %H:%M} UTC ({_age(time.time() - waiting.since)})"
    )


def _age(seconds: float) -> str:
    for unit, length in (("day", _DAY), ("hour", _HOUR)):
        if (count := int(seconds // length)) > 0:
            return f"1 {unit}" if count == 1 else f"{count} {unit}s"
    return "less than an hour"
