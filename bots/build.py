"""From settings to parts. Each function makes one; what a part needs is imported where it is made, because a start
must not pay for the SDKs of platforms that are not used."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from adapters import Adapter
from bots.extensions import load as load_extensions
from bots.instruments.instruments import Instruments
from bots.instruments.metrics import Metrics
from bots.instruments.tracing import Tracing
from bots.settings import Choice, Files, Settings, Telegram, terminal_locale
from core.access import Access
from core.commands import MODEL, Command, suggesting
from core.dialogue import DialogueSettings
from core.engine.embedding import Embedder
from core.engine.engine import Engine, Params
from core.errors import ModelNotFound
from core.extension import Extension
from core.files.reader import FileSettings
from core.guard import GuardSettings
from core.store.allowances import Limits
from core.store.api_keys import ApiKeys
from core.store.client import StoreSettings
from core.store.places import LANGUAGE
from core.store.store import Store

if TYPE_CHECKING:
    from adapters.discord.adapter import DiscordSettings
    from adapters.slack.adapter import SlackSettings
    from adapters.telegram.adapter import TelegramSettings
    from adapters.web.settings import WebSettings
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


def extensions(settings: Settings) -> list[Extension]:
    """Those that are named or installed, and last the moderation, where that is set. Raises `BadSettings`."""
    moderation = settings.moderation
    loaded = load_extensions(settings.extensions)
    if moderation.url is not None:
        from core.moderation import ModerationSettings
        from core.moderation import moderation as moderated

        loaded.append(
            moderated(
                ModerationSettings(
                    url=moderation.url,
                    model=moderation.model,
                    api_key=moderation.api_key.get_secret_value(),
                    answers=moderation.answers,
                )
            )
        )
    return loaded


def commands(settings: Settings, extensions: Sequence[Extension]) -> list[Command]:
    """The commands that are not there, or not like that, everywhere."""
    added = [command for extension in extensions for command in extension.commands]
    if settings.models:
        added.append(replace(MODEL, choices=("default", *settings.models)))
    return [suggesting("persona", tuple(settings.personas)), *added]


def guard(settings: Settings) -> GuardSettings:
    access, limits = settings.access, settings.limits
    return GuardSettings(
        access=Access(allow=access.allow, deny=access.deny, admins=access.admins),
        person=Limits(
            turns_per_minute=limits.person_turns_per_minute,
            turns_per_day=limits.person_turns_per_day,
            tokens_per_minute=limits.person_tokens_per_minute,
            tokens_per_day=limits.person_tokens_per_day,
        ),
        place=Limits(
            turns_per_minute=limits.place_turns_per_minute,
            turns_per_day=limits.place_turns_per_day,
            tokens_per_minute=limits.place_tokens_per_minute,
            tokens_per_day=limits.place_tokens_per_day,
        ),
        scope=settings.chat.scope,
    )


def dialogue(settings: Settings) -> DialogueSettings:
    model = settings.model
    return DialogueSettings(
        name=settings.name,
        personas=settings.personas,
        persona=settings.persona or f"You are a helpful AI assistant named {settings.name}.",
        bots=_personas_of_bots(settings.telegram),
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


def _personas_of_bots(telegram: Telegram) -> dict[str, str]:
    """By the account, with which a token begins."""
    return {
        f"telegram/{bot.token.get_secret_value().partition(':')[0]}": bot.persona
        for bot in telegram.bots.values()
        if bot.persona
    }


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
    first = await _engine(settings, settings.model, progress)
    return [await _judged(settings, first), *map(_remote, settings.model.fallbacks)]


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


async def choices(settings: Settings, progress: Progress) -> dict[str, Engine]:
    """The models that people may choose instead, by their names. Raises `ModelNotFound`."""
    return {name: await _engine(settings, choice, progress) for name, choice in settings.models.items()}


async def _engine(settings: Settings, model: Choice, progress: Progress) -> Engine:
    if model.name == "echo":
        from core.engine.scripted import ScriptedEngine

        return ScriptedEngine(delay=settings.model.delay)
    if model.url is not None:
        return _remote(model)
    return await asyncio.to_thread(_local, settings, model.name, progress)


async def embedder(settings: Settings) -> Embedder | None:
    """What makes embeddings, loaded; `None` where nothing is set. Raises `ModelNotFound`."""
    embeddings = settings.embeddings
    if embeddings.url is not None:
        from core.engine.remote_embedder import RemoteEmbedder, RemoteEmbedderSettings

        return RemoteEmbedder(
            RemoteEmbedderSettings(
                url=embeddings.url, model=embeddings.name, api_key=embeddings.api_key.get_secret_value()
            )
        )
    if not embeddings.name:
        return None
    return await asyncio.to_thread(_local_embedder, embeddings.name)


def _local_embedder(folder: str) -> Embedder:
    from core.engine.local_embedder import LocalEmbedder

    return LocalEmbedder(Path(folder).expanduser())


def _remote(model: Choice) -> Engine:
    from core.engine.remote import RemoteEngine, RemoteSettings

    assert model.url is not None
    return RemoteEngine(
        RemoteSettings(
            url=model.url,
            model=model.name,
            api_key=model.api_key.get_secret_value(),
            context=model.context,
            bytes_per_token=model.bytes_per_token,
            sees=model.sees,
            tools=model.tools,
        )
    )


def _local(settings: Settings, name: str, progress: Progress) -> Engine:
    from core.engine.loading import load
    from core.engine.local import LocalEngine, LocalSettings
    from core.engine.scheduler import SchedulerSettings

    model = settings.model
    loaded = load(name, models_dir=settings.data_dir / "models", precision=model.precision, progress=progress)
    scheduler = SchedulerSettings(max_running=model.max_running, max_waiting=model.max_waiting)
    native = settings.data_dir / "native"
    return LocalEngine(loaded, LocalSettings(kv_cache_gb=model.kv_cache_gb, scheduler=scheduler, native=native))


def instruments(settings: Settings) -> Instruments:
    told = settings.instruments
    traced = None if told.otlp_url is None else Tracing.to(told.otlp_url, told.otlp_ratio, told.otlp_per_second)
    return Instruments(Metrics(), traced)


def discord_settings(settings: Settings) -> "DiscordSettings":
    from adapters.discord.adapter import DiscordSettings

    discord = settings.discord
    return DiscordSettings(
        token=discord.token.get_secret_value(),
        api_base=discord.api_base,
        gateway_url=discord.gateway_url,
        shards=discord.shards,
        file_after=settings.chat.file_after,
    )


def telegram_settings(settings: Settings) -> list["TelegramSettings"]:
    """Those of each bot."""
    from adapters.telegram.settings import Debounce, TelegramSettings

    telegram = settings.telegram
    return [
        TelegramSettings(
            token=token.get_secret_value(),
            name=name,
            api_base=telegram.api_base,
            mode=telegram.mode,
            webhook_url=telegram.webhook_url or "",
            webhook_secret=telegram.webhook_secret.get_secret_value(),
            in_doubt=telegram.in_doubt,
            debounce=Debounce(seconds=telegram.debounce, units=telegram.debounce_from),
            drafts=telegram.drafts,
            file_after=settings.chat.file_after,
        )
        for name, token in telegram.tokens.items()
    ]


def slack_settings(settings: Settings) -> "SlackSettings":
    from adapters.slack.adapter import SlackSettings

    slack = settings.slack
    return SlackSettings(
        bot_token=slack.bot_token.get_secret_value(),
        client_id=slack.client_id.get_secret_value(),
        client_secret=slack.client_secret.get_secret_value(),
        app_token=slack.app_token.get_secret_value(),
        signing_secret=slack.signing_secret.get_secret_value(),
        api_base=f"{slack.api_base}/",
        mode=slack.mode,
        stream=slack.stream,
        file_after=settings.chat.file_after,
    )


def web_settings(settings: Settings, *, model: str) -> "WebSettings":
    from adapters.web.settings import WebSettings

    return WebSettings(
        hosts=settings.http.names,
        title=settings.name,
        model=model,
        buttons=settings.chat.buttons,
        uploads=settings.data_dir / "uploads",
        max_file=int(settings.files.max_mb * 1e6),
    )


def adapters(platforms: Sequence[str], settings: Settings, store: Store, *, model: str) -> list[Adapter]:
    """Those of each of the platforms; `model` is the name to show. Raises `ValueError` for a name that is none."""
    return [each for platform in platforms for each in _adapters(platform, settings, store, model=model)]


def _adapters(platform: str, settings: Settings, store: Store, *, model: str) -> list[Adapter]:
    match platform:
        case "discord":
            from adapters.discord.adapter import DiscordAdapter

            return [DiscordAdapter(discord_settings(settings), store.fleet)]
        case "telegram":
            from adapters.telegram.adapter import TelegramAdapter

            return [TelegramAdapter(each, store.fleet) for each in telegram_settings(settings)]
        case "slack":
            from adapters.slack.adapter import SlackAdapter

            return [SlackAdapter(slack_settings(settings), store.fleet, vault=store.vault)]
        case "web":
            from adapters.web.adapter import WebAdapter

            return [WebAdapter(web_settings(settings, model=model), store.library, ApiKeys(store.client))]
        case "terminal":
            from adapters.terminal.adapter import TerminalAdapter, TerminalSettings
            from adapters.terminal.events import CONVERSATION

            async def language() -> str:
                return (await store.places.of(CONVERSATION)).get(LANGUAGE, "")

            terminal = TerminalSettings(name=settings.name, locale=terminal_locale())
            return [TerminalAdapter(terminal, store.fleet, language=language)]
        case _:
            raise ValueError(f"there is no platform {platform!r}")


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
