"""The terminal: one person, one conversation, typed line by line.

Where standard input or output is no terminal, each line is a message, the answers are printed as they are, and
the end of the input ends it all once the last answer is there.
"""

import asyncio
import sys
import time
import uuid
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import TextIO

from prompt_toolkit import PromptSession
from prompt_toolkit.input import Input, create_input
from prompt_toolkit.input.typeahead import store_typeahead
from prompt_toolkit.keys import Keys
from prompt_toolkit.output import create_output
from rich.console import Console
from rich.text import Text

from adapters.features import Feature
from adapters.recording import record
from adapters.terminal.events import CONVERSATION, PLATFORM, to_event
from adapters.terminal.following import NoAnswer, follow
from adapters.terminal.lines import lines
from adapters.terminal.screen import Screen, harmless
from adapters.terminal.words import GREETING, HOW_TO_LEAVE, NOTHING_TO_STOP, Language, Tongue, unset
from core.errors import CoreError, Overloaded, StoreUnavailable
from core.turns import Draft, Event, Fleet, Inbox, Reply, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class TerminalSettings:
    """`name` is the bot's, and `locale` the terminal's. An answer may be silent for `patience` seconds."""

    name: str = "Trialogue"
    locale: str = ""
    patience: float = 900.0


class TerminalAdapter:
    """Talks with whoever sits at `stdin` and `stdout`, in the `language` that is set, or else in the terminal's.
    `listen` returns when the person leaves."""

    platform = PLATFORM
    supports = frozenset({Feature.GROWING, Feature.ONCE})

    def __init__(
        self,
        settings: TerminalSettings,
        fleet: Fleet,  # noqa: ARG002 - every adapter gets one
        *,
        language: Language = unset,
        stdin: TextIO | None = None,
        stdout: TextIO | None = None,
    ) -> None:
        self._settings = settings
        self._language = language
        self._stdin = sys.stdin if stdin is None else stdin
        self._stdout = sys.stdout if stdout is None else stdout

    async def listen(self, inbox: Inbox) -> None:
        if self._stdin.isatty() and self._stdout.isatty():
            tongue = Tongue(self._settings.locale, self._language)
            await _Talk(self._settings, inbox, tongue, self._stdin, self._stdout).run()
        else:
            await self._answer_lines(inbox)

    async def deliver(self, event: Event, reply: Reply) -> None:  # noqa: ARG002 - the reply knows what it answers
        await record(reply)

    async def _answer_lines(self, inbox: Inbox) -> None:
        async for line in lines(self._stdin.fileno()):
            if not line.strip():
                continue
            event = _event(line, self._settings)
            if event is None:
                return
            if event.kind != "stop":  # one line is answered before the next is read: there is nothing to stop
                await _ask(inbox, event, self._print, patience=self._settings.patience)

    def _print(self, draft: Draft) -> None:
        if draft.final:
            print(harmless(draft.text), file=self._stdout, flush=True)


class _Talk:
    """A talk with a person who sees the answer while it is written."""

    def __init__(
        self, settings: TerminalSettings, inbox: Inbox, tongue: Tongue, stdin: TextIO, stdout: TextIO
    ) -> None:
        self._settings = settings
        self._inbox = inbox
        self._tongue = tongue
        self._input = create_input(stdin)
        self._console = Console(file=stdout, highlight=False)
        self._screen = Screen(self._console, tongue)
        self._prompt: PromptSession[str] = PromptSession(
            "› ", input=self._input, output=create_output(stdout), interrupt_exception=_Interrupted
        )
        self._unsent: tuple[str, Event | None] = ("", None)

    async def run(self) -> None:
        await self._tongue.look()
        self._say(self._tongue(GREETING).format(name=self._settings.name))
        try:
            await self._pick_up()
            while True:
                await self._turn()
        except _Left:
            return

    async def _turn(self) -> None:
        default, held = self._unsent
        self._unsent = ("", None)
        text = await self._typed(default)
        if not text.strip():
            return
        # The same text once more is the same event: it may have been taken although we were told nothing.
        event = held if held is not None and text == default else _event(text, self._settings)
        if event is None:
            raise _Left
        if event.kind == "stop":
            self._say(self._tongue(NOTHING_TO_STOP))
        elif not await self._answered(partial(_ask, self._inbox, event)):
            self._unsent = (text, event)
        elif event.kind == "setting":
            await self._tongue.look()

    async def _typed(self, default: str) -> str:
        """A line; `default` stands in it already. Raises `_Left`."""
        try:
            # The process's own handler for SIGINT stays in place: Ctrl-C is a key here.
            return await self._prompt.prompt_async(default=default, handle_sigint=False)
        except _Interrupted:
            self._say(self._tongue(HOW_TO_LEAVE))
            return ""
        except EOFError:
            raise _Left from None

    async def _pick_up(self) -> None:
        """Show where the talk stands, and wait for what is still being answered."""
        try:
            turns = await self._inbox.turns(CONVERSATION, 2)
        except StoreUnavailable as exc:
            self._say(self._tongue(exc.reply))
            return
        for turn in turns:
            self._show(turn)
        if turns and turns[-1].number == 0:
            await self._answered(partial(follow, self._inbox, CONVERSATION, turns[-1].event))

    def _show(self, turn: Turn) -> None:
        if turn.role == "user":
            self._say(f"› {harmless(turn.text)}")
        else:
            self._screen.draw(Draft(turn.text, final=True))

    async def _answered(self, ask: Callable[..., Awaitable[None]]) -> bool:
        """Draw an answer. False: it was not taken, and the person was told why. Raises `_Left`."""
        keys = _Keys(self._input)
        self._screen.think()
        try:
            with keys.watched():
                async with asyncio.TaskGroup() as group:
                    stopping = group.create_task(self._stop_when(keys), name="stop")
                    await ask(self._screen.draw, patience=self._settings.patience)
                    stopping.cancel()
        except* (StoreUnavailable, Overloaded, NoAnswer) as errors:
            self._screen.end()
            self._say(self._tongue(_first(errors).reply))
            answered = False
        except* _Left:
            raise _Left from None
        else:
            answered = True
        finally:
            self._screen.end()
        return answered

    async def _stop_when(self, keys: "_Keys") -> None:
        """Ctrl-C stops the answer; once more, and we do not wait for its end."""
        await keys.interrupted()
        event = _event("/stop", self._settings)
        assert event is not None
        await self._inbox.accept(event)
        await keys.interrupted()
        raise _Left

    def _say(self, text: str) -> None:
        self._console.print(Text(text, style="dim"))


class _Keys:
    """What is typed while an answer is being written: Ctrl-C is for us, the rest is for the next line."""

    def __init__(self, source: Input) -> None:
        self._input = source
        self._presses = asyncio.Semaphore(0)

    async def interrupted(self) -> None:
        await self._presses.acquire()

    @contextmanager
    def watched(self) -> Iterator[None]:
        with self._input.raw_mode(), self._input.attach(self._read):
            yield

    def _read(self) -> None:
        presses = self._input.read_keys()
        for _ in (press for press in presses if press.key == Keys.ControlC):
            self._presses.release()
        store_typeahead(self._input, [press for press in presses if press.key != Keys.ControlC])


async def _ask(inbox: Inbox, event: Event, draw: Callable[[Draft], None], *, patience: float) -> None:
    await follow(inbox, CONVERSATION, event.id, draw, patience=patience, begin=partial(inbox.accept, event))


def _event(text: str, settings: TerminalSettings) -> Event | None:
    return to_event(text, message=uuid.uuid4().hex, at=time.time(), locale=settings.locale)


def _first(errors: BaseExceptionGroup[CoreError]) -> CoreError:
    error: BaseException = errors
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, CoreError)
    return error


class _Left(Exception):
    """The person leaves."""


class _Interrupted(Exception):
    """Ctrl-C was pressed in an empty or half-written line."""
