"""From settings to parts. Each function makes one; what a part needs is imported where it is made, because a start
must not pay for the SDKs of platforms that are not used."""

import asyncio
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import TYPE_CHECKING

from adapters import Adapter
from bots.instruments.instruments import Instruments
from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from bots.settings import Fallback, Files, Model, Settings
from core.dialogue import DialogueSettings
from core.engine.engine import Engine, Params
from core.errors import ModelNotFound
from core.files.reader import FileSettings
from core.store.client import StoreSettings
from core.turns import Fleet

if TYPE_CHECKING:
    from adapters.discord.adapter import DiscordSettings
    from adapters.slack.adapter import SlackSettings
    from adapters.telegram.adapter import TelegramSettings
    from core.files.transcriber import Transcriber

Progress = Callable[[str, float], None]


def store_settings(settings: Settings) -> StoreSettings:
    return StoreSettings(
        url=settings.redis.url.get_secret_value(),
        data_dir=settings.data_dir,
        fsync=settings.redis.fsync,
        shards=settings.redis.shards,
        prefix=settings.redis.prefix,
        encryption_keys=tuple(filter(None, settings.redis.encryption_keys.get_secret_value().split(","))),
        max_turns=settings.memory.max_turns,
        when_busy=settings.chat.when_busy,
        keep=timedelta(days=settings.memory.keep_days) if settings.memory.keep_days else None,
    )


def dialogue(settings: Settings) -> DialogueSettings:
    model = settings.model
    return DialogueSettings(
        name=settings.name,
        persona=settings.persona or f"You are a helpful AI assistant named {settings.name}.",
        window=settings.memory.window,
        summaries=settings.memory.summaries,
        controls=settings.chat.buttons,
        tell_time=settings.tell_time,
        params=Params(
            max_tokens=model.max_tokens,
            temperature=model.temperature,
            top_p=model.top_p,
            top_k=model.top_k,
            min_p=model.min_p,
            repetition_penalty=model.repetition_penalty,
        ),
    )


def files(settings: Settings) -> FileSettings:
    files = settings.files
    return FileSettings(
        folder=settings.data_dir / "files",
        max_mb=files.max_mb,
        max_tokens=files.max_tokens,
        transcribe=None if files.transcribe_url is None else _transcriber(files, files.transcribe_url).text,
    )


def _transcriber(files: Files, url: str) -> "Transcriber":
    from core.files.transcriber import Transcriber, TranscriberSettings

    return Transcriber(
        TranscriberSettings(url=url, model=files.transcribe_model, api_key=files.transcribe_key.get_secret_value())
    )


async def engine(settings: Settings, progress: Progress) -> Engine:
    """The configured model, loaded, with those behind it. Raises `ModelNotFound`."""
    first, *others = await engines(settings, progress)
    if not others:
        return first
    from core.engine.fallback import FallbackEngine

    return FallbackEngine((first, *others))


async def engines(settings: Settings, progress: Progress) -> list[Engine]:
    """The configured model and its fallbacks, in their order. Raises `ModelNotFound`."""
    others: list[Engine] = [_remote(each) for each in settings.model.fallbacks]
    return [await _judged(settings, await _first(settings, progress)), *others]


async def _judged(settings: Settings, engine: Engine) -> Engine:
    """Replies chosen among candidates, where that is set."""
    model = settings.model
    if model.candidates == 1:
        return engine
    if model.judge is None:
        raise ModelNotFound("model.candidates needs a model.judge: the folder of a discriminator")
    from core.engine.judge import Judge
    from core.engine.judged import JudgedEngine

    return JudgedEngine(engine, await asyncio.to_thread(Judge, model.judge), model.candidates)


async def _first(settings: Settings, progress: Progress) -> Engine:
    model = settings.model
    if model.name == "echo":
        from core.engine.scripted import ScriptedEngine

        return ScriptedEngine(delay=model.delay)
    if model.url is not None:
        return _remote(model)
    return await asyncio.to_thread(_local, settings, progress)


def _remote(model: Model | Fallback) -> Engine:
    from core.engine.remote import RemoteEngine, RemoteSettings

    assert model.url is not None
    return RemoteEngine(
        RemoteSettings(
            url=model.url,
            model=model.name,
            api_key=model.api_key.get_secret_value(),
            context=model.context,
            bytes_per_token=model.bytes_per_token,
        )
    )


def _local(settings: Settings, progress: Progress) -> Engine:
    from core.engine.loading import load
    from core.engine.local import LocalEngine, LocalSettings
    from core.engine.scheduler import SchedulerSettings

    model = settings.model
    loaded = load(
        model.name, models_dir=settings.data_dir / "models", precision=model.precision, progress=progress
    )
    scheduler = SchedulerSettings(max_running=model.max_running, max_waiting=model.max_waiting)
    native = settings.data_dir / "native"
    return LocalEngine(loaded, LocalSettings(kv_cache_gb=model.kv_cache_gb, scheduler=scheduler, native=native))


def instruments(settings: Settings) -> Instruments:
    url = settings.instruments.otlp_url
    return Instruments(Metrics(), None if url is None else Tracing.to(url))


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


def alone(settings: Settings) -> frozenset[str]:
    """The platforms to which a bot has one connection, however many processes would listen.

    Discord gives each connection every event, and Telegram ends one poll for another. Slack shares its events
    among the connections of Socket Mode: then two messages that a person writes quickly would be accepted in
    either order, and what the bot must know to read missed messages would be written by several. Webhooks and the
    page may come in anywhere.
    """
    held = {
        "discord": True,
        "telegram": settings.telegram.mode == "polling",
        "slack": settings.slack.mode == "socket",
    }
    return frozenset(platform for platform, alone in held.items() if alone)
