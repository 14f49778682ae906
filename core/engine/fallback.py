"""Several engines in the order of preference: the next one answers when one cannot. Knows none of them by kind.

An engine fails when it raises `EngineError` or `Overloaded` before its first delta; then the next one is asked
the same. After the first delta nothing is asked again, and errors that are the request's own (`PromptTooLong`,
`InvalidParams`) go to the caller at once.

An engine that failed rests, so that not every request waits for its time-out: for a second at first, twice as
long after each failure in a row, a minute at most. One that was only full rests for a second, since it lives. An
engine whose rest is over is asked by one request, and the others leave it alone until they know what that one
found or another rest has passed. Those that rest are asked last, but they are asked: nobody is refused while any
engine was not tried.
"""

import asyncio
import logging
import time
from collections import deque
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager

from core.engine.engine import NOBODY, Caller, Completion, Delta, Engine, Load, Message, Params
from core.errors import EngineError, Overloaded

log = logging.getLogger(__name__)

_SHORTEST_REST = 1.0  # seconds
_LONGEST_REST = 60.0

Ask = Callable[[Engine], AbstractAsyncContextManager[Completion]]


class FallbackEngine:
    """One engine out of several (at least one), named like the first. `clock` counts seconds.

    Whatever it promises holds for each of them: the smallest context, the largest count, and it continues an
    unfinished answer, or calls tools, only if all can. The fingerprint is the one of those that know their
    tokenizer, if they agree; an engine that knows none makes no token ids and reads none, so it does not matter.
    It sees if the first one does: another one knows at least that there are pictures.
    """

    def __init__(self, engines: Sequence[Engine], *, clock: Callable[[], float] = time.monotonic) -> None:
        self._circuits = [_Circuit(engine, clock) for engine in engines]
        self.name = engines[0].name
        self.context = min(engine.context for engine in engines)
        self.continues = all(engine.continues for engine in engines)
        self.sees = engines[0].sees
        self.tools = all(engine.tools for engine in engines)
        fingerprints = {engine.fingerprint for engine in engines} - {""}
        self.fingerprint = fingerprints.pop() if len(fingerprints) == 1 else ""

    @property
    def load(self) -> Load:
        return sum((circuit.engine.load for circuit in self._circuits), Load(alive=False))

    def count(self, messages: Sequence[Message]) -> int:
        return max(circuit.engine.count(messages) for circuit in self._circuits)

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        """See `Engine.generate`. Raises what the last engine raised when all have failed."""
        circuits = sorted(self._circuits, key=lambda circuit: circuit.rests)
        async with AsyncExitStack() as stack:
            answer = _Answer(stack, circuits, lambda engine: engine.generate(messages, params, caller))
            await answer.enter()
            yield answer

    async def run(self) -> None:
        """Run all of them until cancelled."""
        async with asyncio.TaskGroup() as group:
            for circuit in self._circuits:
                group.create_task(circuit.engine.run(), name=f"engine {circuit.engine.name}")


class _Circuit:
    """An engine, and whether it is worth asking."""

    def __init__(self, engine: Engine, clock: Callable[[], float]) -> None:
        self.engine = engine
        self._clock = clock
        self._failures = 0  # in a row
        self._rests_until = float("-inf")

    @property
    def rests(self) -> bool:
        return self._clock() < self._rests_until

    def ask(self) -> int:
        """To be called when a request is sent to the engine. What is returned goes to `fail`."""
        if self._failures:
            self._rest()
        return self._failures

    def fail(self, asked: int, error: Exception) -> None:
        """Requests that were under way together fail together: that is one failure."""
        log.warning("the engine %s cannot answer: %s", self.engine.name, error)
        if asked == self._failures:
            self._failures = 1 if isinstance(error, Overloaded) else asked + 1
            self._rest()

    def work(self) -> None:
        self._failures = 0
        self._rests_until = float("-inf")

    def _rest(self) -> None:
        doublings = min(self._failures - 1, 16)
        self._rests_until = self._clock() + min(_SHORTEST_REST * 2**doublings, _LONGEST_REST)


class _Answer:
    """The completion of the first engine that begins one."""

    def __init__(self, stack: AsyncExitStack, circuits: Sequence[_Circuit], ask: Ask) -> None:
        self._stack = stack
        self._left = deque(circuits)
        self._ask = ask
        self._entered: Completion | None = None
        self._circuit = circuits[0]
        self._asked = 0
        self._begun = False
        self._error: Exception = EngineError("there is no engine")

    @property
    def place_in_line(self) -> int:
        return 1 if self._entered is None else self._entered.place_in_line

    @property
    def estimate(self) -> float | None:
        return None if self._entered is None else self._entered.estimate

    def spell(self, token_id: int) -> bytes:
        assert self._entered is not None, "nothing was said yet"
        return self._entered.spell(token_id)

    def __aiter__(self) -> "_Answer":
        return self

    async def __anext__(self) -> Delta:
        while not self._begun:
            completion = await self.enter()
            try:
                delta = await anext(completion)
            except (EngineError, Overloaded) as error:
                self._note(error)
                self._entered = None
                await self._stack.aclose()
            else:
                self._begun = True
                self._circuit.work()
                return delta
        return await anext(await self.enter())

    async def enter(self) -> Completion:
        """The completion of the engine that was asked last, or of the next one that takes the request."""
        while self._entered is None:
            if not self._left:
                raise self._error
            self._circuit = self._left.popleft()
            self._asked = self._circuit.ask()
            try:
                self._entered = await self._stack.enter_async_context(self._ask(self._circuit.engine))
            except (EngineError, Overloaded) as error:
                self._note(error)
        return self._entered

    def _note(self, error: Exception) -> None:
        self._circuit.fail(self._asked, error)
        self._error = error
