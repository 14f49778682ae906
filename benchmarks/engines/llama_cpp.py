"""llama.cpp: its own server class, called in this process, so that no HTTP counts against it.

One slot for each conversation, and each conversation keeps its slot, so that its cache is always found there;
continuous batching and `cache_prompt` on; a thread for each core. No copies of idle slots in RAM, which nobody
would come back to. Text comes back, and is encoded again: where that gives other tokens than the model made, a few
of them are read anew. It reads the GGUF file as it is (4-bit weights).
"""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import xllamacpp

from benchmarks.cell import Cell
from benchmarks.chat import Answer, ChatML, Message
from benchmarks.machine import cores

_CONTEXT = 1024  # tokens a slot: more than the longest dialogue here


class LlamaCpp:
    def __init__(self, server: xllamacpp.Server, chatml: ChatML, callers: ThreadPoolExecutor) -> None:
        self._server = server
        self._chatml = chatml
        self._callers = callers

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:
        request = {
            "prompt": self._chatml.prompt(history),
            "n_predict": max_tokens,
            "temperature": 0.0,
            "id_slot": conversation,
            "cache_prompt": True,
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._callers, self._complete, json.dumps(request))

    def _complete(self, request: str) -> Answer:
        chunks: list[str] = []
        times: list[float] = []

        def take(chunk: str) -> None:
            times.append(time.perf_counter())
            chunks.append(chunk)

        self._server.handle_completions(request, take)
        messages: list[dict[str, Any]] = [json.loads(chunk) for chunk in chunks]
        last = messages[-1]
        if "usage" not in last:
            raise RuntimeError("llama.cpp refused the request")
        token_ids = self._chatml.encode("".join(message["choices"][0]["text"] for message in messages))
        usage = last["usage"]
        return Answer(token_ids, times[0], usage["prompt_tokens"], usage["prompt_tokens_details"]["cached_tokens"])


@asynccontextmanager
async def serve(cell: Cell, chatml: ChatML) -> AsyncIterator[LlamaCpp]:
    threads = cores()
    params = xllamacpp.CommonParams()
    params.model.path = cell.gguf
    params.n_parallel = cell.size
    params.n_ctx = cell.size * _CONTEXT
    params.cpuparams.n_threads = threads
    params.cpuparams_batch.n_threads = threads
    params.cache_ram_mib = 0
    params.verbosity = 0
    with ThreadPoolExecutor(cell.size, thread_name_prefix="caller") as callers:
        yield LlamaCpp(xllamacpp.Server(params), chatml, callers)
