"""Other people's code in the bot: the examples, over Telegram's fake, and what is no extension."""

import asyncio
import re
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bots import extensions
from bots.app import Plan
from bots.app import running as run_plan
from bots.settings import BadSettings
from core.commands import commands, offering
from core.dialogue import DialogueSettings
from core.engine.remote import RemoteEngine, RemoteSettings
from core.engine.scripted import ScriptedEngine
from core.errors import EngineError
from core.extension import Extension
from core.store.store import Store
from core.turns import Event
from core.worker import WorkerSettings
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.telegram_rig import TelegramRig
from tests.core.engine.openai_server import OpenAIServer
from tests.running import running


@pytest.fixture
async def rig(store: Store) -> AsyncIterator[TelegramRig]:
    async with TelegramRig(store) as rig:
        yield rig


async def remembered(store: Store) -> list[str]:
    [conversation] = [each async for each in store.memory.conversations()]
    return [turn.text for turn in await store.memory.turns(conversation, 100)]


async def test_command_of_an_extension_is_offered_and_answered(rig: TelegramRig, store: Store) -> None:
    [dice] = extensions.load(["examples.extensions.dice"])
    with offering(*dice.commands):
        async with running(rig.adapter, store=store, engine=ScriptedEngine(), extensions=[dice]):
            await rig.command("dice")
            await rig.until_said("Ann has thrown a")
            await rig.command("help")
            await rig.until_said("Throw a die")
    assert "dice" in [command["command"] for command in rig.fake.api.commands[""]]
    assert "dice" not in [command.name for command in commands()]


async def test_model_is_asked_what_a_hook_makes_of_it(rig: TelegramRig, store: Store) -> None:
    redacted = extensions.load(["examples.extensions.redacted:extension"])
    async with running(rig.adapter, store=store, engine=ScriptedEngine(), extensions=redacted):
        await rig.direct("write to ann@example.org now")
        await rig.until_said("You said: write to (an address) now")
    assert not any("@" in text for text in await remembered(store))


async def test_pin_of_an_older_message_that_a_hook_has_changed_is_no_edit(store: Store) -> None:
    redacted = extensions.load(["examples.extensions.redacted:extension"])
    async with (
        DiscordRig(store) as rig,
        running(rig.adapter, store=store, engine=ScriptedEngine(), extensions=redacted),
    ):
        first = await rig.direct("write to ann@example.org")
        await rig.until_said("You said: write to (an address)")
        await rig.edit(first, "write to bob@example.org soon")
        await rig.until_said("You said: write to (an address) soon")
        await rig.direct("thanks")
        await rig.until_said("You said: thanks")
        before = await remembered(store)
        await forget_what_was_seen(store)
        rig.fake.pin(first)
        await rig.direct("and now")
        await rig.until_said("You said: and now")
    assert await remembered(store) == [*before, "and now", "You said: and now"]


async def forget_what_was_seen(store: Store) -> None:
    """As after some days: the marks of events that were taken expire."""
    async for page in store.client.pages(store.client.keys.pattern("d")):
        for key in page:
            await store.client.ask("DEL", key, key=key)


async def test_hook_declines_a_message_and_changes_an_answer(rig: TelegramRig, store: Store) -> None:
    brief = extensions.load(["examples.extensions.brief"])
    async with running(rig.adapter, store=store, engine=ScriptedEngine(delay=0.05), extensions=brief):
        await rig.direct("word " * 100)
        await rig.until_said("In 280 characters, please.")
        await rig.direct("one two three")
        await rig.until_said("You said: one two three")
    assert not any("edit_date" in message for message in rig.fake.posted("ann")), "nobody saw it grow"
    assert await remembered(store) == ["one two three", "You said: one two three"]


async def test_model_calls_a_tool_of_an_extension(rig: TelegramRig, store: Store) -> None:
    clock = extensions.load(["examples.extensions.clock"])
    async with OpenAIServer.serve() as server:
        server.calls = [[("time_in", '{"zone": "Europe/Lisbon"}')]]
        engine = RemoteEngine(RemoteSettings(url=server.url, model=server.model, api_key=server.key, tools=True))
        dialogue = DialogueSettings(window=4000)
        async with running(rig.adapter, store=store, engine=engine, dialogue=dialogue, extensions=clock):
            await rig.direct("how late is it in Lisbon?")
            await rig.until_replies(
                lambda texts: bool(re.fullmatch(r"You said: \w+day, \d\d:\d\d", "".join(texts)))
            )


async def test_model_that_calls_no_tools_is_named_at_the_start(rig: TelegramRig, store: Store) -> None:
    clock, told = extensions.load(["examples.extensions.clock"]), list[str]()
    plan = Plan(engine=ScriptedEngine(), adapters=[rig.adapter], extensions=clock)
    async with run_plan(store, plan, told.append):
        assert told[:1] == ["the model echo calls no tools, and is offered none of the extensions'"]


def test_two_tools_of_one_name_are_a_clear_error() -> None:
    with pytest.raises(BadSettings, match="time_in"):
        extensions.load(["examples.extensions.clock", "examples.extensions.clock"])


async def test_hook_that_never_answers_holds_up_nobody(rig: TelegramRig, store: Store) -> None:
    extension = Extension()

    @extension.before
    async def waits(event: Event, text: str) -> str:
        await asyncio.Event().wait()
        return text

    @extension.command("wait", "Wait for ever")
    async def wait(event: Event, text: str) -> str:
        return await waits(event, text)

    hasty = WorkerSettings(take_seconds=0.05, turn_seconds=0.3)
    with offering(*extension.commands):
        async with running(
            rig.adapter, store=store, engine=ScriptedEngine(), worker=hasty, extensions=[extension]
        ):
            await rig.command("wait")
            await rig.direct("hello")
            await rig.until_said(EngineError.reply)
            await rig.command("help")
            await rig.until_said("Wait for ever")


async def test_hook_that_declines_leaves_the_answer_that_stands_there(rig: TelegramRig, store: Store) -> None:
    brief = extensions.load(["examples.extensions.brief"])
    async with running(rig.adapter, store=store, engine=ScriptedEngine(), extensions=brief):
        message = await rig.direct("hello")
        await rig.until_said("You said: hello")
        await rig.edit(message, "word " * 100)
        await rig.until_replies(lambda texts: texts == ["You said: hello\n\nIn 280 characters, please."])
    assert await remembered(store) == ["hello", "You said: hello"]


async def test_hook_that_fails_is_no_answer(rig: TelegramRig, store: Store) -> None:
    extension = Extension()

    @extension.after
    async def never(event: Event, text: str) -> str:
        raise EngineError("nobody looks")

    async with running(rig.adapter, store=store, engine=ScriptedEngine(), extensions=[extension]):
        await rig.direct("hello")
        await rig.until_said(EngineError.reply)
    assert "You said" not in " ".join(rig.fake.shown("ann"))


def test_installed_packages_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs.py").write_text("from core.extension import Extension\nmine = Extension()\n")
    about = tmp_path / "theirs-1.0.dist-info"
    about.mkdir()
    (about / "METADATA").write_text("Metadata-Version: 2.1\nName: theirs\nVersion: 1.0\n")
    (about / "entry_points.txt").write_text(f"[{extensions.GROUP}]\ntheirs = theirs:mine\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.delitem(sys.modules, "theirs", raising=False)
    [found] = extensions.load([])
    assert isinstance(found, Extension)


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no.such.module", "cannot be loaded: No module named 'no'"),
        ("examples.extensions.dice:nothing", "cannot be loaded"),
        ("core.notices:SET", "is no Extension"),
        ("", "cannot be loaded"),
    ],
)
def test_what_is_no_extension_is_a_clear_error(name: str, why: str) -> None:
    with pytest.raises(BadSettings, match=why):
        extensions.load([name])


def test_two_commands_of_one_name_are_a_clear_error() -> None:
    with pytest.raises(BadSettings, match="/dice"):
        extensions.load(["examples.extensions.dice", "examples.extensions.dice"])


@pytest.mark.parametrize(("name", "about"), [("Dice", "Throw"), ("", "Throw"), ("dice", ""), ("dice", "x" * 101)])
def test_command_that_no_platform_takes_is_refused(name: str, about: str) -> None:
    with pytest.raises(ValueError, match=r"name of a command|characters"):
        Extension().command(name, about)
