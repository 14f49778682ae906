"""What `trialogue doctor` looks at: disk, Redis, who is there, what was set aside or waits for nobody, the model,
and each token with its platform."""

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from adapters import Finding
from bots import aside, build, disk, stranded
from bots.role import Role
from bots.settings import Settings
from core.engine.embedding import unpacked
from core.engine.engine import Engine, Message, Params
from core.errors import CoreError
from core.store.records import VERSION
from core.store.store import Store, open_store

_ENOUGH_DISK = 2 * 1024**3
_SECONDS = 60.0

Check = Callable[[], Awaitable[list[Finding]]]


async def examine(settings: Settings, role: Role, console: Console) -> bool:
    """Look at everything that a process with this role needs, at once, and print what was found. True when nothing
    needs to be done."""
    checks: dict[str, Check] = {
        "disk": lambda: _disk(settings.data_dir),
        "redis": lambda: _redis(settings),
    }
    if role.works:
        checks["model"] = lambda: _model(settings)
        if settings.embeddings.name:
            checks["embeddings"] = lambda: _embeddings(settings)
    for platform in settings.platforms:
        checks |= _of_platform(platform, settings)
    found = await asyncio.gather(*(_guarded(check) for check in checks.values()))
    table = Table("", "", "what", "what to do", box=None, padding=(0, 1))
    for name, findings in zip(checks, found, strict=True):
        for finding in findings:
            mark = "[green]ok[/]" if finding.ok else "[red]no[/]"
            table.add_row(mark, name, finding.what, finding.fix)
    console.print(table)
    if not settings.platforms:
        console.print("No platform has a token yet; `trialogue init` tells where to get one.")
    return all(finding.ok for findings in found for finding in findings)


async def _guarded(check: Check) -> list[Finding]:
    try:
        async with asyncio.timeout(_SECONDS):
            return await check()
    except CoreError as exc:
        return [Finding(False, str(exc))]
    except TimeoutError:
        return [Finding(False, f"no answer within {_SECONDS:.0f} s", "Look at the network and try again.")]


async def _disk(folder: Path) -> list[Finding]:
    return [await asyncio.to_thread(_look_at_disk, folder)]


def _look_at_disk(folder: Path) -> Finding:
    try:
        disk.prepare(folder)
    except disk.Unwritable as exc:
        return Finding(False, exc.why, exc.fix)
    free = shutil.disk_usage(folder).free
    what = f"{folder}: {free / 1024**3:.1f} GiB free"
    if free < _ENOUGH_DISK:
        return Finding(False, what, "Make room: less than 2 GiB are left.")
    return Finding(True, what)


async def _redis(settings: Settings) -> list[Finding]:
    async with open_store(build.store_settings(settings)) as store:
        await store.ping()
        workers = len(await store.fleet.others())
        return [
            Finding(
                True,
                f"{store.describe()} answers; {workers} {'worker is' if workers == 1 else 'workers are'} there",
            ),
            *_paused(store),
            *await _layout(store),
            *await aside.findings(store),
            *await stranded.findings(settings, store),
        ]


def _paused(store: Store) -> list[Finding]:
    return [
        Finding(False, f"{platform} is paused by an operator: nobody is answered there", "Resume it on /admin.")
        for platform in sorted(store.fleet.held)
    ]


async def _layout(store: Store) -> list[Finding]:
    oldest = await store.upkeep.oldest()
    if oldest == VERSION:
        return []
    return [Finding(True, f"it is being brought from layout {oldest} to {VERSION}, while a worker runs")]


async def _model(settings: Settings) -> list[Finding]:
    """Each engine by itself: one that stands in for a broken one would hide it."""
    first, *others = await build.engines(settings, lambda _what, _share: None)
    asked = others if settings.model.url is None else [first, *others]
    found = await asyncio.gather(*(_guarded(lambda engine=engine: _answers(engine)) for engine in asked))  # type: ignore[misc]
    here = [] if first in asked else [_described(first)]
    return [*here, *(finding for findings in found for finding in findings)]


async def _embeddings(settings: Settings) -> list[Finding]:
    embedder = await build.embedder(settings)
    assert embedder is not None
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(embedder.run(), name="embeddings")
            await asyncio.sleep(0)  # it begins
            made = await embedder.embed(["Hello"])
            running.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [Finding(True, f"{embedder.name}: vectors of {len(unpacked(made.vectors[0]))} numbers")]


def _described(engine: Engine) -> Finding:
    return Finding(True, f"{engine.name}: {engine.context} tokens of context")


async def _answers(engine: Engine) -> list[Finding]:
    """Only an answer tells that a server is there, has the model and takes our key."""
    try:
        async with asyncio.TaskGroup() as group:
            running = group.create_task(engine.run(), name="engine")
            async with engine.generate([Message("user", "Hello")], Params(max_tokens=1)) as deltas:
                await anext(deltas, None)
            running.cancel()
    except ExceptionGroup as failed:
        raise failed.exceptions[0] from failed
    return [_described(engine)]


def _of_platform(platform: str, settings: Settings) -> dict[str, Check]:
    """The checks of a platform's bots, by their names."""
    match platform:
        case "discord":
            from adapters.discord.doctor import check as check_discord  # noqa: PLC0415 - as in build

            return {platform: lambda: check_discord(build.discord_settings(settings))}
        case "telegram":
            from adapters.telegram.doctor import check as check_telegram  # noqa: PLC0415

            bots = build.telegram_settings(settings)
            return {bot.adapter: partial(check_telegram, bot) for bot in bots}
        case _:
            from adapters.slack.doctor import check as check_slack  # noqa: PLC0415

            slack = build.slack_settings(settings)

            async def with_store() -> list[Finding]:
                async with open_store(build.store_settings(settings)) as store:
                    return await check_slack(slack, store.vault)

            return {platform: with_store if slack.is_distributed else lambda: check_slack(slack)}
