"""What an operator asks of a whole store: an export, and a person to be forgotten. Part of `benchmarks.store`."""

import os
import resource
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Awaitable
from typing import TypeVar

from benchmarks.store_results import Passed
from core.store import logfile
from core.store.export import Exported, Exporter
from core.store.forget import Forget, Person
from core.store.importing import encode_line
from core.store.store import Store

T = TypeVar("T")


async def measure(number: int, store: Store, idle: int, person: Person) -> Passed:
    """The passes as the commands make them, one after the other. `person` is exported and then forgotten."""
    load = os.getloadavg()[0]
    exporter = Exporter(store.client, store.inbox)
    everything, size = await _timed(_written(exporter.everything()))
    one, _ = await _timed(_written(exporter.person(person)))
    forgetting, forgotten = await _timed(Forget(store.client, store.inbox).person(person))
    rewriting, _ = await _timed(logfile.rewrite(store.client))
    return Passed(number, idle, load, everything, size, one, forgetting, forgotten, rewriting, _most_memory())


async def _timed(done: Awaitable[T]) -> tuple[float, T]:
    begun = time.perf_counter()
    answer = await done
    return time.perf_counter() - begun, answer


async def _written(records: AsyncIterator[Exported]) -> int:
    """How many bytes of JSON Lines they make, in a file."""
    with tempfile.TemporaryFile() as file:
        async for record in records:
            file.write(encode_line(record) + b"\n")
        return file.tell()


def _most_memory() -> int:
    """The most bytes that this process has held."""
    held = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return held if sys.platform == "darwin" else held * 1024
