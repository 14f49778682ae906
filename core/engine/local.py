"""Runs a model in this process: asyncio outside, one model thread inside.

The whole engine is three calls, visible in `LocalEngine._steps`: schedule, run, commit. The scheduler and the
streams are touched on the event loop alone, and only `Runner.run` leaves it, so there are no locks. Whatever
changes who runs (a new request, a cancelled one) takes effect between two steps, never during one.
"""

import asyncio
import logging
from collections.abc import AsyncIterator
from collections.abc import Sequence as Row
from concurrent.futures import ThreadPoolExecutor
from concurrent.futures.thread import BrokenThreadPool
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from itertools import count
from pathlib import Path

from core.engine import threads
from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import NOBODY, Caller, Completion, Load, Message, Params, Tool, Usage
from core.engine.loading import Loaded
from core.engine.prepared import prepare
from core.engine.runner import Outcome, Runner, Sampled
from core.engine.scheduler import Batch, Scheduler, SchedulerSettings
from core.engine.sequence import Sequence
from core.engine.stream import Stream
from core.engine.tool_calls import Calling
from core.errors import EngineError, EngineStopped, InvalidParams, PromptTooLong

log = logging.getLogger(__name__)

_MOST_CHARACTERS = 8  # of text in a token, on average over a prompt: twice what English has


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalSettings:
    """`kv_cache_gb` is the memory for keys and values, in 10^9 bytes: of those that run and of those between
    turns. `threads` is for the model; `None` means one for each processor core that we may use. `native` is a
    folder for the step that is compiled here; without one the model runs on PyTorch's operations alone."""

    kv_cache_gb: float = 3.0
    scheduler: SchedulerSettings = field(default_factory=SchedulerSettings)
    threads: int | None = None
    native: Path | None = None


class LocalEngine:
    """A loaded model that answers many conversations at once."""

    continues = True
    sees = False

    def __init__(self, loaded: Loaded, settings: LocalSettings = LocalSettings()) -> None:
        """Takes the model out of `loaded` and makes it ready, which blocks for seconds: call it in a thread."""
        threads.use(1)
        self.name = loaded.name
        self._chat = ChatTokenizer(loaded.tokenizer)
        self.fingerprint = self._chat.fingerprint
        self.tools = self._chat.tools
        self._end_of_turn = loaded.end_of_turn
        self._settings = settings
        running = settings.scheduler.max_running
        self._prepared = prepare(
            loaded, kv_cache_gb=settings.kv_cache_gb, max_running=running, native=settings.native
        )
        self.context = self._prepared.context
        self._scheduler = Scheduler(settings.scheduler, self._prepared.places())
        self._last_thread: ThreadPoolExecutor | None = None
        self._requests: dict[int, _Request] = {}  # by the numbers of their sequences
        self._numbers = count(1)
        self._work = asyncio.Event()
        self._stopped = False
        self._alive = False
        self._done = Load(alive=False)

    @property
    def load(self) -> Load:
        return replace(
            self._done,
            alive=self._alive,
            running=self._scheduler.running,
            waiting=self._scheduler.waiting,
            most_running=self._settings.scheduler.max_running,
            cache_blocks=self._scheduler.cache_blocks,
            cache_used=self._scheduler.cache_used,
        )

    def count(self, messages: Row[Message]) -> int:
        """Exact, and cheap for messages that were counted before. Text far beyond the context is only bounded:
        it is refused anyway, and must not hold up the event loop while it is encoded."""
        if self._is_far_too_long(messages):
            return sum(len(message.whole.encode()) for message in messages)
        return self._chat.count(messages)

    @asynccontextmanager
    async def generate(
        self, messages: Row[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        """See `Engine.generate`. What comes before `run` was started waits for it."""
        if self._stopped:
            raise EngineStopped("the model was stopped")
        if params.candidates > (most := self._scheduler.most_candidates):
            raise InvalidParams(f"this server makes at most {most} answers to one prompt")
        prompt = self._prompt(messages, params.tools)
        request = self._request(prompt, params, caller, self._chat.stops_of(messages))
        try:
            for sequence in request.sequences:
                self._scheduler.add(sequence)
                self._requests[sequence.number] = request
            self._work.set()
            yield Calling(request.stream) if params.tools else request.stream
        finally:
            for sequence in request.sequences:
                self._remove(sequence.number)

    async def run(self) -> None:
        self._stopped, self._alive = False, True
        last = self._last_thread
        self._last_thread = thread = ThreadPoolExecutor(
            1, thread_name_prefix="model", initializer=threads.use, initargs=(self._settings.threads,)
        )
        try:
            if last is not None:
                await asyncio.to_thread(last.shutdown)
            await self._steps(thread)
        finally:
            self._stop()
            thread.shutdown(wait=False)  # a step that is under way ends by itself

    async def _steps(self, thread: ThreadPoolExecutor) -> None:
        loop = asyncio.get_running_loop()
        runner = Runner(self._prepared.model)
        while True:
            await self._work.wait()
            if not (batch := self._scheduler.schedule()):
                self._work.clear()
                continue
            began = loop.time()
            try:
                outcomes = await loop.run_in_executor(thread, runner.run, batch)
            except (asyncio.CancelledError, BrokenThreadPool):
                raise
            except BaseException as error:  # noqa: BLE001  even what would end a thread
                runner = Runner(self._prepared.model)
                self._begin_anew(error)
            else:
                self._note(batch, outcomes, loop.time() - began)
                self._commit(batch, outcomes)

    def _note(self, batch: Batch, outcomes: Row[Outcome], seconds: float) -> None:
        """What a step has read of prompts, and made: the newest token of a chunk that writes is no prompt's."""
        made = sum(len(outcome.token_ids) for outcome in outcomes if isinstance(outcome, Sampled))
        read = sum(len(chunk.token_ids) - chunk.samples for chunk in batch.chunks)
        known = sum(len(chunk.prefix) for chunk in batch.chunks)
        self._done += Load(
            alive=True,
            prefill_tokens=read,
            decode_tokens=made,
            steps=1,
            step_seconds=seconds,
            cached_tokens=known,
        )

    def _prompt(self, messages: Row[Message], tools: Row[Tool]) -> tuple[int, ...]:
        if self._is_far_too_long(messages):
            raise PromptTooLong(f"the prompt is far longer than the {self.context} tokens that the model reads")
        prompt = self._chat.encode(messages, tools) if messages else ()
        if not prompt:
            raise InvalidParams("the prompt is empty")
        if len(prompt) >= self.context:
            raise PromptTooLong(f"the prompt has {len(prompt)} tokens, and the model reads {self.context}")
        return prompt

    def _is_far_too_long(self, messages: Row[Message]) -> bool:
        return sum(len(message.whole) for message in messages) > self.context * _MOST_CHARACTERS

    def _request(
        self, prompt: tuple[int, ...], params: Params, caller: Caller, stops: tuple[str, ...]
    ) -> "_Request":
        room = max(1, min(params.max_tokens, self.context - len(prompt)))
        first = next(self._numbers)
        others = range(1, params.candidates)
        sequences = (
            Sequence(first, prompt, params, room, caller),
            *(Sequence(next(self._numbers), prompt, params, room, caller, other, first) for other in others),
        )
        stream = Stream(
            self._chat.decode,
            (*params.stop, *stops),
            candidates=params.candidates,
            place=lambda: self._scheduler.place_in_line(first),
            estimate=lambda: self._scheduler.estimate(first),
            spell=self._chat.spell,
        )
        return _Request(stream, sequences)

    def _commit(self, batch: Batch, outcomes: Row[Outcome]) -> None:
        sampled: dict[int, Sampled] = {}
        for chunk, outcome in zip(batch.chunks, outcomes, strict=True):
            if isinstance(outcome, Sampled):
                sampled[chunk.number] = outcome
            elif outcome is not None:
                self._scheduler.scrub(chunk)
                self._fail(chunk.number, outcome)
        tokens = [sampled[chunk.number].token_ids if chunk.number in sampled else None for chunk in batch.chunks]
        for sequence, _ in self._scheduler.commit(batch, tokens):
            if self._is_over(sequence, sampled[sequence.number]):
                self._remove(sequence.number)

    def _is_over(self, sequence: Sequence, sampled: Sampled) -> bool:
        """Hands the newest tokens to the reader. True: one of them was the last."""
        stream, candidate = self._requests[sequence.number].stream, sequence.candidate
        made = len(sequence.completion) - len(sampled.token_ids)
        for token_id, logprob in zip(sampled.token_ids, sampled.logprobs, strict=True):
            ended = token_id in self._end_of_turn
            if not ended:
                made += 1
                ended = stream.add(token_id, candidate, logprob)
            if ended or made == sequence.room:
                usage = Usage(len(sequence.prompt), sequence.cached, made)
                stream.finish("stop" if ended else "length", candidate, usage)
                return True
        return False

    def _begin_anew(self, cause: BaseException) -> None:
        """A step broke off, so that neither slots nor cache can be trusted: whoever has begun fails. Those that
        wait have lost nothing."""
        waiting = [number for number in self._requests if self._scheduler.place_in_line(number)]
        for number in set(self._requests).difference(waiting):
            self._fail(number, cause)
        self._scheduler = self._new_scheduler()
        for number in waiting:
            if (request := self._requests.get(number)) is not None:
                self._scheduler.add(next(each for each in request.sequences if each.number == number))

    def _fail(self, number: int, cause: BaseException) -> None:
        """Ends one request; the others go on. It may have been cancelled during the step."""
        if (request := self._requests.get(number)) is None:
            return
        log.error("sequence %d failed in the model", number, exc_info=cause)
        request.stream.fail(EngineError(f"the model failed with a {type(cause).__name__}"))
        for sequence in request.sequences:
            self._remove(sequence.number, keep=False)

    def _remove(self, number: int, *, keep: bool = True) -> None:
        self._scheduler.remove(number, keep)
        self._requests.pop(number, None)
        self._work.set()  # its place is free, and somebody may wait for it

    def _stop(self) -> None:
        """Whether the last step's copies were done is not known, so that nothing of the cache can be trusted."""
        self._stopped, self._alive = True, False
        for request in list(self._requests.values()):
            request.stream.fail(EngineStopped("the model was stopped while it answered"))
        self._requests.clear()
        self._scheduler = self._new_scheduler()

    def _new_scheduler(self) -> Scheduler:
        """With books that know of nothing; what lies in the slots may be anything."""
        places = self._prepared.places()
        for place, length in self._scheduler.held:
            places.scrub(place, length)
        return Scheduler(self._settings.scheduler, places)


@dataclass(frozen=True, slots=True)
class _Request:
    stream: Stream
    sequences: tuple[Sequence, ...]
