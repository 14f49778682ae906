"""What `trialogue doctor` looks at on Discord. Changes nothing, and begins no gateway session."""

from typing import Any

from adapters import Finding
from adapters.delivery import Limited, Unavailable
from adapters.discord import account
from adapters.discord.account import Account
from adapters.discord.invite import invite_link
from adapters.discord.rest import Rejected, Rest
from adapters.discord.settings import PORTAL, SWITCH_ON_CONTENT, DiscordSettings
from core.errors import Refused


async def check(settings: DiscordSettings) -> list[Finding]:
    """The token, the intent, the commands and the servers. Raises nothing."""
    rest = Rest(settings)
    try:
        known = await account.ask(rest)
        return [
            Finding(True, f"Discord knows the bot as {known.name}"),
            _content(known),
            await _commands(rest, known),
            await _servers(rest, known),
            *await _sessions(rest, settings),
        ]
    except Refused as exc:
        return [Finding(False, f"Discord: {exc.why}", exc.fix)]
    except (KeyError, Limited, Rejected, TypeError, Unavailable, ValueError) as exc:
        return [
            Finding(False, f"Discord does not answer: {exc}", f"Can this machine reach {settings.api_base}?"),
        ]
    finally:
        await rest.close()


def _content(known: Account) -> Finding:
    if known.reads_content:
        return Finding(True, "the Message Content Intent is on")
    return Finding(
        False,
        "the Message Content Intent is off: the bot does not understand messages in its threads that do not "
        "mention it",
        SWITCH_ON_CONTENT,
    )


async def _commands(rest: Rest, known: Account) -> Finding:
    commands = await rest.call("GET", "/applications/{application_id}/commands", application_id=known.application)
    names = ", ".join(f"/{command['name']}" for command in commands or ())
    return Finding(True, f"slash commands: {names or 'none yet; `trialogue run discord` registers them'}")


async def _servers(rest: Rest, known: Account) -> Finding:
    servers = await rest.call("GET", "/users/@me/guilds")
    if servers:
        return Finding(True, f"the bot is in {len(servers)} server{'s' if len(servers) > 1 else ''}")
    return Finding(
        False,
        "the bot is in no server, so nobody can write to it",
        f"Open {invite_link(known.application)}",
    )


async def _sessions(rest: Rest, settings: DiscordSettings) -> list[Finding]:
    bot = await rest.call("GET", "/gateway/bot")
    return [_shards(int(bot.get("shards") or 1), settings), _left(bot["session_start_limit"])]


def _shards(wanted: int, settings: DiscordSettings) -> Finding:
    count = wanted if settings.shards == "auto" else settings.shards
    what = f"{count} shard{'s' if count > 1 else ''}"
    if count < wanted:
        return Finding(False, f"{what}, and Discord wants {wanted}", 'Set discord.shards to "auto".')
    return Finding(True, what)


def _left(start: dict[str, Any]) -> Finding:
    left, total = int(start["remaining"]), int(start["total"])
    if left > 1:
        return Finding(True, f"{left} of {total} gateway sessions are left for today")
    hours = float(start["reset_after"]) / 3_600_000
    return Finding(
        False, "no gateway session is left", f"Wait {hours:.1f} hours; see who else uses the token: {PORTAL}"
    )
