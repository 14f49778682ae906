"""What `trialogue doctor` looks at on Telegram. Changes nothing, and takes no updates from a bot that runs."""

from telegram import User  # noqa: TID251
from telegram.error import InvalidToken, TelegramError  # noqa: TID251

from adapters import Finding
from adapters.telegram.client import Client, Connection
from adapters.telegram.settings import BOTFATHER, TelegramSettings
from adapters.telegram.webhook import trouble


async def check(settings: TelegramSettings) -> list[Finding]:
    """The token, the rights in groups, and how updates come. Raises nothing."""
    connection = Connection()
    await connection.initialize()
    try:
        client = Client(settings.token, settings.server, connection)
        me = await client.get_me()
        return [
            Finding(True, f"Telegram knows the bot as @{me.username}"),
            *_groups(me),
            await _updates(client, settings),
        ]
    except InvalidToken:
        return [Finding(False, "Telegram does not know the token", f"{BOTFATHER}, then API Token.")]
    except TelegramError as exc:
        return [
            Finding(
                False, f"Telegram does not answer: {exc.message}", f"Can this machine reach {settings.server}?"
            )
        ]
    finally:
        await connection.shutdown()


def _groups(me: User) -> list[Finding]:
    if not me.can_join_groups:
        return [Finding(False, "the bot may not be added to groups", f"{BOTFATHER}, Bot Settings, Allow Groups.")]
    if me.can_read_all_group_messages:
        return [Finding(True, "privacy mode is off: Telegram sends the bot every message of its groups")]
    return [Finding(True, "privacy mode is on: in groups Telegram sends the bot only what is meant for it")]


async def _updates(client: Client, settings: TelegramSettings) -> Finding:
    info = await client.get_webhook_info()
    if settings.mode == "polling":
        if info.url:
            return Finding(
                False,
                "a webhook is set, so nothing can be polled",
                "`trialogue run` removes it. If another program uses this token, make a second bot for it.",
            )
        return Finding(True, "updates are polled")
    if info.url != settings.url:
        return Finding(
            False,
            f"Telegram does not push to {settings.url} yet",
            "`trialogue run telegram` sets the webhook.",
        )
    if info.last_error_date is not None:
        return Finding(
            False,
            f"Telegram could not push: {trouble(info)}",
            "The URL must lead to this process by https, with a certificate that Telegram trusts.",
        )
    return Finding(True, "updates are pushed to the webhook")
