"""A person at a pipe and at a real (pseudo) terminal, with a real bot behind it."""

import asyncio
import io
import os
import pty
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import pytest
from redis.asyncio import Redis

from adapters.terminal.adapter import TerminalAdapter, TerminalSettings
from adapters.terminal.events import CONVERSATION, to_event
from adapters.terminal.following import NoAnswer
from bots.bot import Bot
from core import notices
from core.engine.engine import Engine
from core.engine.scripted import ScriptedEngine
from core.errors import StoreUnavailable
from core.languages import translated
from core.store.places import LANGUAGE
from core.store.store import Store
from tests.core.store.servers import RedisServer
from tests.running import running

SLOW = 0.05
_SEQUENCES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]|\x1b[=>]|\x1b\][^\x07]*\x07")


async def piped(store: Store, source: Path, *, engine: Engine | None = None) -> str:
    """What is answered to the lines of a file."""
    out = io.StringIO()
    with source.open(encoding="utf-8") as stdin:
        adapter = TerminalAdapter(TerminalSettings(), store.fleet, stdin=stdin, stdout=out)
        async with running(adapter, store=store, engine=engine or ScriptedEngine()) as bot:
            await bot.until_stopped()
    return out.getvalue()


async def test_each_piped_line_is_answered_in_order_and_the_end_ends_it(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "lines"
    source.write_text("hello\n\n**again**\nשלום", encoding="utf-8")
    assert await piped(store, source) == "You said: hello\nYou said: **again**\nYou said: שלום\n"


async def test_quit_ends_a_pipe_early(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "lines"
    source.write_text("one\n/stop\n/quit\ntwo\n")
    assert await piped(store, source) == "You said: one\n"


async def test_piped_commands_are_obeyed(store: Store, tmp_path: Path) -> None:
    source = tmp_path / "lines"
    source.write_text("/help\n/reset\n")
    answers = await piped(store, source)
    assert "`/persona …`" in answers
    assert "forgotten" in answers


async def test_nobody_who_answers_is_an_error_and_no_endless_wait(store: Store) -> None:
    out, into = os.pipe()
    os.write(into, b"hello\n")
    os.close(into)
    with os.fdopen(out) as stdin:
        adapter = TerminalAdapter(TerminalSettings(patience=0.2), store.fleet, stdin=stdin, stdout=io.StringIO())
        with pytest.raises(NoAnswer):
            await adapter.listen(store.inbox)


class Person:
    """Somebody at the other end of a pseudo terminal."""

    def __init__(self, master: int) -> None:
        self._master = master
        self._changed = asyncio.Event()
        self._raw = b""

    def read(self) -> None:
        try:
            self._raw += os.read(self._master, 65536)
        except OSError:  # the other side is closed
            asyncio.get_running_loop().remove_reader(self._master)
        self._changed.set()

    @property
    def screen(self) -> str:
        return _SEQUENCES.sub("", self._raw.decode(errors="replace"))

    def types(self, text: str) -> None:
        os.write(self._master, text.encode())

    async def sees(self, text: str, *, times: int = 1) -> None:
        try:
            async with asyncio.timeout(45):
                while self.screen.count(text) < times:
                    self._changed.clear()
                    await self._changed.wait()
        except TimeoutError:
            raise AssertionError(f"{text!r} is not on the screen: {self.screen!r}") from None


async def language_set(store: Store) -> str:
    return (await store.places.of(CONVERSATION)).get(LANGUAGE, "")


@asynccontextmanager
async def sitting(
    store: Store, *, engine: Engine | None = None, locale: str = "", greeted: str = "Tri. /help tells"
) -> AsyncIterator[tuple[Person, Bot]]:
    master, slave = pty.openpty()
    person = Person(master)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, person.read)
    with os.fdopen(slave, "r", closefd=False) as stdin, os.fdopen(slave, "w") as stdout:
        settings = TerminalSettings(name="Tri", locale=locale)
        language = partial(language_set, store)
        adapter = TerminalAdapter(settings, store.fleet, language=language, stdin=stdin, stdout=stdout)
        async with running(adapter, store=store, engine=engine or ScriptedEngine()) as bot:
            await person.sees(greeted)
            await person.sees("›")
            yield person, bot
    loop.remove_reader(master)
    os.close(master)


async def test_person_talks_and_leaves_with_quit(store: Store) -> None:
    async with sitting(store) as (person, bot):
        person.types("hello there\r")
        await person.sees("You said: hello there")
        person.types("/quit\r")
        await bot.until_stopped()


async def test_ctrl_d_leaves(store: Store) -> None:
    async with sitting(store) as (person, bot):
        person.types("\x04")
        await bot.until_stopped()


async def test_ctrl_c_stops_the_reply_and_not_the_talk(store: Store) -> None:
    async with sitting(store, engine=ScriptedEngine(delay=SLOW)) as (person, bot):
        person.types("word " * 200 + "\r")
        await person.sees("You said: word")
        person.types("\x03")
        await person.sees("Stopped.")
        person.types("next\r")
        await person.sees("You said: next")
        person.types("\x04")
        await bot.until_stopped()


async def test_ctrl_c_at_the_prompt_says_how_to_leave(store: Store) -> None:
    async with sitting(store) as (person, bot):
        person.types("half a thou\x03")
        await person.sees("leaves.", times=2)
        person.types("/quit\r")
        await bot.until_stopped()


async def test_what_is_typed_during_a_reply_waits_for_the_next_line(store: Store) -> None:
    async with sitting(store, engine=ScriptedEngine(delay=SLOW)) as (person, bot):
        person.types("word " * 20 + "\r")
        await person.sees("You said: word")
        person.types("typed ahead\r")
        await person.sees("You said: typed ahead")
        person.types("\x04")
        await bot.until_stopped()


async def test_last_exchange_is_shown_after_a_restart(store: Store) -> None:
    for _ in range(2):
        async with sitting(store) as (person, bot):
            person.types("remember me\r")
            await person.sees("You said: remember me")
            person.types("\x04")
            await bot.until_stopped()
    async with sitting(store) as (person, bot):
        await person.sees("You said: remember me")
        person.types("\x04")
        await bot.until_stopped()


async def test_answer_that_was_still_awaited_is_picked_up(store: Store) -> None:
    waiting = to_event("left alone", message="before", at=0.0)
    assert waiting is not None
    await store.inbox.accept(waiting)
    async with sitting(store) as (person, bot):
        await person.sees("You said: left alone")
        person.types("\x04")
        await bot.until_stopped()


async def test_second_ctrl_c_leaves_an_answer_that_never_comes(store: Store) -> None:
    master, slave = pty.openpty()
    person = Person(master)
    loop = asyncio.get_running_loop()
    loop.add_reader(master, person.read)
    with os.fdopen(slave, "r", closefd=False) as stdin, os.fdopen(slave, "w") as stdout:
        adapter = TerminalAdapter(TerminalSettings(), store.fleet, stdin=stdin, stdout=stdout)
        async with asyncio.timeout(20), asyncio.TaskGroup() as group:
            group.create_task(adapter.listen(store.inbox))  # and no worker
            await person.sees("›")
            person.types("hello\r")
            await person.sees("…")
            person.types("\x03\x03")
    loop.remove_reader(master)
    os.close(master)


async def test_text_that_the_store_cannot_take_is_offered_again(store: Store, redis_server: RedisServer) -> None:
    async with sitting(store) as (person, bot):
        person.types("/stop\r")
        await person.sees("Nothing is being written.")
        async with Redis.from_url(redis_server.url) as redis:
            await redis.config_set("min-replicas-to-write", 1)
            try:
                person.types("keep this\r")
                await person.sees(StoreUnavailable.reply)
            finally:
                await redis.config_set("min-replicas-to-write", 0)
        person.types("\r")
        await person.sees("You said: keep this")
        person.types("\x04")
        await bot.until_stopped()


async def test_terminal_speaks_the_language_of_its_locale(store: Store) -> None:
    async with sitting(store, locale="de_AT", greeted="Tri. /help sagt mehr") as (person, bot):
        person.types("half a thou\x03")
        await person.sees("Strg-D oder /quit")
        person.types("/stop\r")
        await person.sees("Gerade wird nichts geschrieben.")
        person.types("/undo\r")
        await person.sees("zurücknehmen könnte")
        person.types("/quit\r")
        await bot.until_stopped()


async def test_language_that_is_set_is_spoken_from_then_on_and_after_a_restart(store: Store) -> None:
    async with sitting(store, locale="de_DE", greeted="Tri. /help sagt mehr") as (person, bot):
        person.types("/language es\r")
        await person.sees(translated(notices.SET, "de"))
        person.types("/stop\r")
        await person.sees("Ahora no se está escribiendo nada.")
        person.types("\x04")
        await bot.until_stopped()
    async with sitting(store, locale="de_DE", greeted="Tri. /help cuenta más") as (person, bot):
        person.types("/language\r")
        await person.sees(translated(notices.SET, "es"))
        person.types("/stop\r")
        await person.sees("Gerade wird nichts geschrieben.")
        person.types("\x04")
        await bot.until_stopped()


async def test_piped_lines_are_answered_in_the_terminals_language(store: Store) -> None:
    out, (reading, writing) = io.StringIO(), os.pipe()
    os.write(writing, b"/help\n")
    os.close(writing)
    with os.fdopen(reading) as stdin:
        adapter = TerminalAdapter(TerminalSettings(locale="zh_CN"), store.fleet, stdin=stdin, stdout=out)
        async with running(adapter, store=store, engine=ScriptedEngine()) as bot:
            await bot.until_stopped()
    assert translated("What I can do", "zh") in out.getvalue()
