"""Runs a model in this process: asyncio outside, one model thread inside.

The whole engine is three calls, visible in `LocalEngine.run`: schedule, run, commit. The scheduler and the
streams are touched on the event loop alone, and only `Runner.run` leaves it, so there are no locks. Whatever
changes who runs (a new request, a cancelled one) takes effect between two steps, never during one.
"""

import asyncio
import logging
import os
from collections.abc import AsyncIterator
from collections.abc import Sequence as Row
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count

import torch

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Delta, Message, Params
from core.engine.loading import Loaded
from core.engine.runner import Outcome, Runner
from core.engine.scheduler import Batch, Scheduler
from core.engine.sequence import Sequence
from core.engine.stream import Stream
from core.errors import EngineError, EngineStopped, PromptTooLong

log = logging.getLogger(__name__)

_MOST_CHARACTERS = 8  # of text in a token, on average over a prompt: twice what English has


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """`prefill_chunk` is the most prompt tokens that one step reads, of all sequences together. `threads` is for
    the model; `None` means one for each processor core that we may use."""

    max_running: int = 8
    max_waiting: int = 256
    prefill_chunk: int = 256
    threads: int | None = None


class LocalEngine:
    """A loaded model that answers several conversations at once."""

    continues = True

    def __init__(self, loaded: Loaded, settings: LocalSettings = LocalSettings()) -> None:
        self.name = loaded.name
        self.context = loaded.context
        self._chat = ChatTokenizer(loaded.tokenizer)
        self.fingerprint = self._chat.fingerprint
        self._model = loaded.model
        self._end_of_turn = loaded.end_of_turn
        self._settings = settings
        self._scheduler = Scheduler(
            max_running=settings.max_running,
            max_waiting=settings.max_waiting,
            prefill_chunk=settings.prefill_chunk,
        )
        self._streams: dict[int, Stream] = {}  # by the sequence's number
        self._numbers = count(1)
        self._work = asyncio.Event()
        self._stopped = False

    def count(self, messages: Row[Message]) -> int:
        """Exact, and cheap for messages that were counted before. Text far beyond the context is only bounded:
        it is refused anyway, and must not hold up the event loop while it is encoded."""
        characters = sum(len(message.text) for message in messages)
        if characters > self.context * _MOST_CHARACTERS:
            return max(characters, sum(len(message.text.encode()) for message in messages))
        return self._chat.count(messages)

    @asynccontextmanager
    async def generate(self, messages: Row[Message], params: Params) -> AsyncIterator[AsyncIterator[Delta]]:
        """See `Engine.generate`. What comes before `run` was started waits for it."""
        if self._stopped:
            raise EngineStopped("the model was stopped")
        if (length := self.count(messages)) >= self.context:
            raise PromptTooLong(f"the prompt has {length} tokens, and the model reads {self.context}")
        sequence = self._sequence(self._chat.encode(messages), params)
        stream = Stream(self._chat.decode, (*params.stop, *self._chat.stops))
        self._scheduler.add(sequence)
        self._streams[sequence.number] = stream
        self._work.set()
        try:
            yield stream
        finally:
            self._remove(sequence.number)

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        model_thread = ThreadPoolExecutor(1, thread_name_prefix="model", initializer=self._set_threads)
        runner = Runner(self._model)
        self._stopped = False
        try:
            while True:
                await self._work.wait()
                if not (batch := self._scheduler.schedule()):
                    self._work.clear()
                    continue
                outcomes = await loop.run_in_executor(model_thread, runner.run, batch)
                self._commit(batch, outcomes)
        finally:
            self._stop()
            model_thread.shutdown(wait=False)  # a step that is under way ends by itself

    def _sequence(self, prompt: tuple[int, ...], params: Params) -> Sequence:
        room = min(params.max_tokens, self.context - len(prompt))
        return Sequence(next(self._numbers), prompt, params, room=max(1, room))

    def _commit(self, batch: Batch, outcomes: Row[Outcome]) -> None:
        for chunk, outcome in zip(batch.chunks, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self._fail(chunk.number, outcome)
        sampled = [None if isinstance(outcome, Exception) else outcome for outcome in outcomes]
        for sequence in self._scheduler.commit(batch, sampled):
            if self._is_over(sequence, self._streams[sequence.number]):
                self._remove(sequence.number)

    def _is_over(self, sequence: Sequence, stream: Stream) -> bool:
        """Hands the newest token to the reader. True: it was the last one."""
        token_id = sequence.completion[-1]
        if token_id in self._end_of_turn:
            stream.finish("stop")
            return True
        if stream.add(token_id):
            return True
        if sequence.full:
            stream.finish("length")
        return sequence.full

    def _fail(self, number: int, cause: Exception) -> None:
        """Ends one sequence; the others go on. It may have been cancelled during the step."""
        if (stream := self._streams.get(number)) is None:
            return
        log.error("sequence %d failed in the model", number, exc_info=cause)
        stream.fail(EngineError(f"the model failed with a {type(cause).__name__}"))
        self._remove(number)

    def _remove(self, number: int) -> None:
        self._scheduler.remove(number)
        self._streams.pop(number, None)
        self._work.set()  # its cache is to be freed, and somebody may wait for its place

    def _stop(self) -> None:
        self._stopped = True
        for number, stream in list(self._streams.items()):
            stream.fail(EngineStopped("the model was stopped while it answered"))
            self._remove(number)
        self._scheduler.schedule()  # nothing is left to free: the runner is gone with all its caches

    def _set_threads(self) -> None:
        usable = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        torch.set_num_threads(self._settings.threads or min(torch.get_num_threads(), usable))
