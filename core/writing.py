"""What a model writes for one answer, within its time: the files that came with the question, the hooks around it,
the model, and the tools that it calls. Knows neither the store nor what is shown where.
"""

import asyncio
from collections.abc import Callable, Sequence
from typing import Literal

from core.dialogue import Dialogue
from core.engine.engine import Call, Completion, Tool
from core.errors import EngineError, Overloaded
from core.extension import Does, Hooks
from core.files.reader import Read, Reader
from core.prompt import Prompt, called
from core.question import Question
from core.tools import Tools
from core.turns import Attachment, Cut, Event
from core.written import Written

Halt = Literal["stopped", "shutdown", "failed"]

# How often a model is asked for one answer, the last time without tools, and how many it may call each time.
_ROUNDS = 6
_AT_ONCE = 8


class Writing:
    """That of the answer to `event`. `grown` is told the text whenever it has grown, unless a hook is still to see
    it.

    `seconds` bounds the reading of the files, which are those of `adapter`, each hook, the wait for the model's
    first word, and then the writing. `halted` is why it ends early, if it does; `in_line` is what the model was
    asked for, as long as nothing of it has come.
    """

    def __init__(
        self,
        dialogue: Dialogue,
        event: Event,
        grown: Callable[[str], None],
        *,
        adapter: str,
        seconds: float,
        reader: Reader | None,
        hooks: Hooks,
        tools: Tools,
    ) -> None:
        self.halted: Halt | None = None
        self.in_line: Completion | None = None
        self._dialogue = dialogue
        self._event = event
        self._grown = grown
        self._adapter = adapter
        self._seconds = seconds
        self._reader = reader
        self._hooks = hooks
        self._tools = tools
        self._begun = False
        self._time: asyncio.Timeout | None = None

    def halt(self, why: Halt) -> None:
        """End now with what is written. The first reason counts."""
        if self.halted is None:
            self.halted = why
            self._go_on_for(0.0)

    async def read(self, attachments: Sequence[Attachment]) -> Read:
        """What came with the message. Nothing, where the answer is to end before it begins."""
        if self._reader is None or not attachments or self.halted is not None:
            return Read()
        dialogue = self._dialogue
        try:
            async with asyncio.timeout(None) as self._time:  # or until somebody halts
                return await self._reader.read(
                    self._adapter,
                    attachments,
                    most=dialogue.most_read,
                    count=lambda text: dialogue.count("user", text),
                    sees=dialogue.sees,
                    within=self._seconds,
                    locale=self._event.locale,
                )
        except TimeoutError:
            return Read()
        finally:
            self._time = None

    async def hooked(self, hook: Does, text: str) -> str:
        """What a hook makes of `text`. Raises `Declined`, and `EngineError` when it takes too long."""
        try:
            async with asyncio.timeout(self._seconds):
                return await hook(self._event, text)
        except TimeoutError as exc:
            raise EngineError(f"a hook did not answer within {self._seconds:.0f} s") from exc

    async def write(self, asks: Question, prompt: Prompt, draft: Written) -> Cut:
        """Go on with `draft` until the model has ended; return why it was cut short, if it was.

        Raises `Overloaded` when the model has not begun in time, and whatever it raises.
        """
        if self.halted is not None:
            return self.halted
        self._begun = False
        try:
            async with asyncio.timeout(self._seconds) as self._time:
                for rounds_left in reversed(range(_ROUNDS)):
                    tools = self._tools.offered if self._dialogue.tools and rounds_left else ()
                    cut, calls = await self._write_on(asks, prompt, draft, tools)
                    if cut or not (calls and tools):
                        return cut
                    for call in calls[:_AT_ONCE]:
                        made = await self._tools.call(call, self._event)
                        draft.call(self._dialogue.clipped(prompt, [*draft.calls, made])[-1])
        except TimeoutError as exc:
            if self.halted is None and not self._begun:
                raise Overloaded(f"the model did not begin within {self._seconds:.0f} s") from exc
            return self.halted or "time"
        finally:
            self._time = self.in_line = None
        return ""

    async def _write_on(
        self, asks: Question, prompt: Prompt, draft: Written, tools: tuple[Tool, ...]
    ) -> tuple[Cut, tuple[Call, ...]]:
        """Until the model has ended, or wants tools called; why it was cut short, and those."""
        calls: tuple[Call, ...] = ()
        continues = self._dialogue.continues
        async with self._dialogue.answer(
            prompt,
            so_far=draft.text if continues and not draft.calls else "",
            gone_on_with=asks.so_far,
            sampling=self._event.sampling,
            tools=tools,
            # What was said before a call stands before what came of it.
            told=called(draft.calls, draft.text if continues else draft.text.removeprefix(asks.so_far)),
        ) as deltas:
            self.in_line = deltas
            async for delta in deltas:
                self.in_line = None
                if not self._begun and self.halted is None:
                    self._go_on_for(self._seconds)
                self._begun = True
                draft.add(delta)
                calls += delta.calls
                if not self._hooks.look_after:
                    self._grown(draft.text)
                if delta.finish == "length":
                    return "length", ()
        return "", calls

    def _go_on_for(self, seconds: float) -> None:
        """What is under way, if it is not ending already, ends so many seconds from now."""
        if self._time is not None and not self._time.expired():
            self._time.reschedule(asyncio.get_running_loop().time() + seconds)
