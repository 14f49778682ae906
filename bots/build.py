"""From settings to parts. Each function makes one; what a part needs is imported where it is made, because a start
must not pay for the SDKs of platforms that are not used."""

import asyncio
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from adapters import Adapter
from bots.settings import Settings
from core.dialogue import DialogueSettings
from core.engine.engine import Engine, Params
from core.store.client import StoreSettings
from core.turns import Fleet

if TYPE_CHECKING:
    from adapters.discord.adapter import DiscordSettings
    from adapters.slack.adapter import SlackSettings
    from adapters.telegram.adapter import TelegramSettings

Progress = Callable[[str, float], None]


def store_settings(settings: Settings) -> StoreSettings:
    return StoreSettings(
        url=settings.redis.url.get_secret_value(),
        data_dir=settings.data_dir,
        fsync=settings.redis.fsync,
        shards=settings.redis.shards,
        max_turns=settings.memory.max_turns,
    )


def dialogue(settings: Settings) -> DialogueSettings:
    model = settings.model
    return DialogueSettings(
        name=settings.name,
        persona=settings.persona or f"You are a helpful AI assistant named {settings.name}.",
        window=settings.memory.window,
        tell_time=settings.tell_time,
        params=Params(
            max_tokens=model.max_tokens,
            temperature=model.temperature,
            top_p=model.top_p,
            repetition_penalty=model.repetition_penalty,
        ),
    )


async def engine(settings: Settings, progress: Progress) -> Engine:
    """The configured model, loaded. Raises `ModelNotFound`."""
    model = settings.model
    if model.name == "echo":
        from core.engine.scripted import ScriptedEngine

        return ScriptedEngine(delay=model.delay)
    if model.url is not None:
        from core.engine.remote import RemoteEngine, RemoteSettings

        key = model.api_key.get_secret_value()
        return RemoteEngine(RemoteSettings(url=model.url, model=model.name, api_key=key, context=model.context))
    from core.engine.loading import load
    from core.engine.local import LocalEngine, LocalSettings

    loaded = await asyncio.to_thread(load, model.name, models_dir=settings.data_dir / "models", progress=progress)
    return LocalEngine(loaded, LocalSettings())


def discord_settings(settings: Settings) -> "DiscordSettings":
    from adapters.discord.adapter import DiscordSettings

    discord = settings.discord
    return DiscordSettings(
        token=discord.token.get_secret_value(), api_base=discord.api_base, gateway_url=discord.gateway_url
    )


def telegram_settings(settings: Settings) -> "TelegramSettings":
    from adapters.telegram.adapter import TelegramSettings

    telegram = settings.telegram
    return TelegramSettings(
        token=telegram.token.get_secret_value(),
        api_base=telegram.api_base,
        mode=telegram.mode,
        webhook_url=telegram.webhook_url or "",
        webhook_secret=telegram.webhook_secret.get_secret_value(),
        in_doubt=telegram.in_doubt,
    )


def slack_settings(settings: Settings) -> "SlackSettings":
    from adapters.slack.adapter import SlackSettings

    slack = settings.slack
    return SlackSettings(
        bot_token=slack.bot_token.get_secret_value(),
        app_token=slack.app_token.get_secret_value(),
        signing_secret=slack.signing_secret.get_secret_value(),
        api_base=f"{slack.api_base}/",
        mode=slack.mode,
    )


def adapter(platform: str, settings: Settings, fleet: Fleet, *, model: str) -> Adapter:
    """The adapter of one platform; `model` is the name to show. Raises `ValueError` for a name that is none."""
    match platform:
        case "discord":
            from adapters.discord.adapter import DiscordAdapter

            return DiscordAdapter(discord_settings(settings), fleet)
        case "telegram":
            from adapters.telegram.adapter import TelegramAdapter

            return TelegramAdapter(telegram_settings(settings), fleet)
        case "slack":
            from adapters.slack.adapter import SlackAdapter

            return SlackAdapter(slack_settings(settings), fleet)
        case "web":
            from adapters.web.adapter import WebAdapter, WebSettings

            return WebAdapter(WebSettings(hosts=settings.http.names, title=settings.name, model=model), fleet)
        case "terminal":
            from adapters.terminal.adapter import TerminalAdapter, TerminalSettings

            return TerminalAdapter(TerminalSettings(name=settings.name), fleet)
        case _:
            raise ValueError(f"there is no platform {platform!r}")


def adapters(platforms: Sequence[str], settings: Settings, fleet: Fleet, *, model: str) -> list[Adapter]:
    return [adapter(platform, settings, fleet, model=model) for platform in platforms]
