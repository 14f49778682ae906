"""One measurement in a process of its own: `python -m benchmarks.cell SPEC RESULT`, both of them JSON files.

`benchmarks.engine` starts it. The process knows nothing but what the specification says, so that neither the data
set nor another engine's runtime counts as this engine's memory.
"""

import asyncio
import importlib
import sys
import time
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import msgspec

from benchmarks.chat import ChatML, Served, Turn, converse
from benchmarks.machine import memory_peak

_WARM_UP_TOKENS = 8


@dataclass(frozen=True, slots=True)
class Cell:
    """What is measured. `module` in benchmarks/engines is served as `variant`; `gguf` and `folder` are the same
    model, `folder` inside `models_dir`. `warm_up` are conversations like the others but shorter; they are answered
    before the clock starts."""

    module: str
    variant: str
    gguf: str
    folder: str
    models_dir: str
    conversations: list[list[str]]
    warm_up: list[list[str]]
    max_tokens: int

    @property
    def size(self) -> int:
        return len(self.conversations)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What came out. `seconds` is wall-clock time and `cpu_seconds` processor time from the first question to the
    last answer, `rss_mb` the most memory that the process ever held beyond what it held before the engine was
    imported, in MB of 10**6 bytes."""

    turns: list[Turn]
    seconds: float
    cpu_seconds: float
    rss_mb: float


class EngineModule(Protocol):
    """What a module in benchmarks/engines has."""

    def serve(self, cell: Cell, chatml: ChatML) -> AbstractAsyncContextManager[Served]: ...


async def measure(cell: Cell) -> Outcome:
    """Loads the engine, warms it up and lets everybody talk to it. Raises whatever the engine does."""
    chatml = ChatML(Path(cell.folder) / "tokenizer.json")
    start = memory_peak()
    module: EngineModule = importlib.import_module(f"benchmarks.engines.{cell.module}")
    async with module.serve(cell, chatml) as engine:
        await converse(engine, chatml, cell.warm_up, _WARM_UP_TOKENS)
        cpu, began = time.process_time(), time.perf_counter()
        turns = await converse(engine, chatml, cell.conversations, cell.max_tokens)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        return Outcome(turns, seconds, cpu, (memory_peak() - start) / 1e6)


if __name__ == "__main__":
    _spec, _result = map(Path, sys.argv[1:])
    _outcome = asyncio.run(measure(msgspec.json.decode(_spec.read_bytes(), type=Cell)))
    _result.write_bytes(msgspec.json.encode(_outcome))
