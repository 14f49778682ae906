"""OpenVINO GenAI: its continuous batching pipeline, stepped by a thread of ours.

Prefix caching on, a cache of 2 GB, prompts split into steps of 256 tokens among those that are being answered
(dynamic split and fuse), one inference stream on all cores. It reads the GGUF file itself and keeps its 4-bit
weights; keys and values are in 8 bits and activations in what its CPU plugin takes by default.
"""

import asyncio
import threading
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

import numpy as np
import openvino
import openvino_genai as genai

from benchmarks.cell import Cell
from benchmarks.chat import END_OF_TURN, Answer, ChatML, Message
from benchmarks.machine import cores

_CACHE_GB = 2
_STEP_TOKENS = 256


@dataclass(slots=True)
class _Request:
    number: int
    prompt: list[int]
    max_tokens: int
    done: asyncio.Future[Answer]
    loop: asyncio.AbstractEventLoop
    handle: Any = None
    token_ids: list[int] = field(default_factory=list)
    first: float = 0.0


class OpenVino:
    """`close` ends the thread; nothing may be asked after it."""

    def __init__(self, pipeline: genai.ContinuousBatchingPipeline, chatml: ChatML) -> None:
        self._pipeline = pipeline
        self._chatml = chatml
        self._asked: SimpleQueue[_Request | None] = SimpleQueue()
        self._running: list[_Request] = []
        self._count = 0
        self._thread = threading.Thread(target=self._run, name="openvino")
        self._thread.start()

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:  # noqa: ARG002
        loop = asyncio.get_running_loop()
        self._count += 1
        request = _Request(self._count, self._chatml.prompt(history), max_tokens, loop.create_future(), loop)
        self._asked.put(request)
        return await request.done

    def close(self) -> None:
        self._asked.put(None)
        self._thread.join()

    def _run(self) -> None:
        try:
            while self._admit():
                self._pipeline.step()
                self._running = [request for request in self._running if not self._is_over(request)]
        except RuntimeError as error:
            for request in self._running:
                request.loop.call_soon_threadsafe(request.done.set_exception, error)

    def _admit(self) -> bool:
        """Takes what was asked since the last step; waits for it when there is nothing else to do."""
        while not self._running or not self._asked.empty():
            if (request := self._asked.get()) is None:
                return False
            config = genai.GenerationConfig()
            config.do_sample = False
            config.max_new_tokens = request.max_tokens
            config.eos_token_id = END_OF_TURN
            config.stop_token_ids = {END_OF_TURN}
            prompt = openvino.Tensor(np.array([request.prompt], dtype=np.int64))
            request.handle = self._pipeline.add_request(request.number, prompt, config)
            self._running.append(request)
        return True

    def _is_over(self, request: _Request) -> bool:
        while request.handle.can_read():
            request.first = request.first or time.perf_counter()
            for output in request.handle.read().values():
                request.token_ids += output.generated_ids
        if request.handle.get_status() == genai.GenerationStatus.RUNNING:
            return False
        token_ids = tuple(token_id for token_id in request.token_ids if token_id != END_OF_TURN)
        answer = Answer(token_ids, request.first, len(request.prompt))
        request.loop.call_soon_threadsafe(request.done.set_result, answer)
        return True


@asynccontextmanager
async def serve(cell: Cell, chatml: ChatML) -> AsyncIterator[OpenVino]:
    scheduler = genai.SchedulerConfig()
    scheduler.enable_prefix_caching = True
    scheduler.cache_size = _CACHE_GB
    scheduler.max_num_batched_tokens = _STEP_TOKENS
    scheduler.max_num_seqs = max(cell.size, 1)
    properties = {"INFERENCE_NUM_THREADS": cores(), "NUM_STREAMS": 1, "PERFORMANCE_HINT": "LATENCY"}
    engine = OpenVino(genai.ContinuousBatchingPipeline(cell.gguf, scheduler, "CPU", properties), chatml)
    try:
        yield engine
    finally:
        engine.close()
