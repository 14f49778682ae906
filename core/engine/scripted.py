"""An engine that says what it was told: for tests, for demos, and to measure everything but the model."""

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager, suppress

from core.engine.engine import NOBODY, Caller, Completion, Delta, Load, Message, Params, Usage
from core.errors import EngineStopped, InvalidParams

_WORD = re.compile(r"\S+\s*|\s+")
_PREFIX = "You said: "


class ScriptedEngine:
    """Streams "You said: " and the newest user message's text back, a word every `delay` seconds.

    A word counts as a token. It says the whole text and nothing else, whatever the parameters are, in as many
    candidates as are asked for; when it goes on with an unfinished answer, what is missing of it. `delay` may be
    changed while it speaks.
    """

    name = "echo"
    context = 1_000_000
    fingerprint = ""
    continues = True
    sees = False
    tools = False

    def __init__(self, delay: float = 0.0) -> None:
        self.delay = delay
        self._stopped = asyncio.Event()
        self._alive = False
        self._running = 0

    @property
    def load(self) -> Load:
        return Load(alive=self._alive, running=self._running)

    def count(self, messages: Sequence[Message]) -> int:
        """The number of words. The template around them is nothing."""
        return sum(len(message.text.split()) for message in messages)

    @asynccontextmanager
    async def generate(
        self,
        messages: Sequence[Message],
        params: Params,
        caller: Caller = NOBODY,  # noqa: ARG002
    ) -> AsyncIterator[Completion]:
        if not messages:
            raise InvalidParams("the prompt is empty")
        words = _WORD.findall(_answer(messages))
        usage = Usage(prompt=self.count(messages), cached=0, completion=len(words))
        self._running += 1
        try:
            async with aclosing(self._say(words, usage, params.candidates)) as deltas:
                yield _Said(deltas)
        finally:
            self._running -= 1

    async def run(self) -> None:
        self._stopped.clear()
        self._alive = True
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            self._alive = False
            self._stopped.set()

    async def _say(self, words: Sequence[str], usage: Usage, candidates: int) -> AsyncGenerator[Delta]:
        await self._wait(0.0)
        for word in words[:-1]:
            for candidate in range(candidates):
                yield Delta(word, candidate=candidate)
            await self._wait(self.delay)
        for candidate in range(candidates):
            yield Delta(words[-1] if words else "", finish="stop", candidate=candidate, usage=usage)

    async def _wait(self, seconds: float) -> None:
        """Lets others run, in any case. Raises `EngineStopped` as soon as the engine is stopped."""
        if seconds:
            with suppress(TimeoutError):
                async with asyncio.timeout(seconds):
                    await self._stopped.wait()
        else:
            await asyncio.sleep(0)
        if self._stopped.is_set():
            raise EngineStopped("the scripted model was stopped")


class _Said:
    """Nobody waits in line here."""

    place_in_line = 0
    estimate = 0.0

    def __init__(self, deltas: AsyncIterator[Delta]) -> None:
        self._deltas = deltas

    def spell(self, token_id: int) -> bytes:
        """There are no log-probabilities here."""
        raise KeyError(token_id)

    def __aiter__(self) -> "_Said":
        return self

    async def __anext__(self) -> Delta:
        return await anext(self._deltas)


def _answer(messages: Sequence[Message]) -> str:
    newest = next((message.text for message in reversed(messages) if message.role in ("user", "plain")), "")
    so_far = messages[-1].text if messages and messages[-1].role == "assistant" else ""
    return (_PREFIX + newest).removeprefix(so_far)
