"""How fast the local engine writes: `.venv/bin/python -m benchmarks.engine [model]`.

One, four and eight conversations at once, the sizes taken in turn so that a busy moment of the machine does not
fall on one of them alone. Prints the medians over the rounds: tokens per second of all conversations together, and
seconds from the question to the first text of one.
"""

import asyncio
import statistics
import sys
import time
from dataclasses import dataclass
from pathlib import Path

from platformdirs import user_data_path

from core.engine.engine import Message, Params
from core.engine.loading import load
from core.engine.local import LocalEngine

SIZES = (1, 4, 8)
ROUNDS = 5
TOKENS = 64
QUESTION = "Explain in simple words how a bicycle stays upright while it is being ridden."


@dataclass(frozen=True, slots=True)
class Answer:
    """One completion: its tokens, and seconds from the question to its first text."""

    tokens: int
    first: float


async def answer(engine: LocalEngine, number: int) -> Answer:
    asked, first, tokens = time.perf_counter(), 0.0, 0
    params = Params(max_tokens=TOKENS, temperature=0.0, repetition_penalty=1.1)
    async with engine.generate([Message("user", f"{QUESTION} ({number})")], params) as deltas:
        async for delta in deltas:
            first = first or time.perf_counter() - asked
            tokens += len(delta.token_ids)
    return Answer(tokens, first)


async def measure(engine: LocalEngine, size: int) -> tuple[float, float]:
    began = time.perf_counter()
    answers = await asyncio.gather(*(answer(engine, number) for number in range(size)))
    seconds = time.perf_counter() - began
    return sum(a.tokens for a in answers) / seconds, statistics.median(a.first for a in answers)


async def main(name: str, models: Path) -> None:
    engine = LocalEngine(load(name, models_dir=models, progress=lambda _what, _share: None))
    results: dict[int, list[tuple[float, float]]] = {size: [] for size in SIZES}
    async with asyncio.TaskGroup() as group:
        running = group.create_task(engine.run())
        await measure(engine, 1)  # the first tokens after loading are slow
        for _ in range(ROUNDS):
            for size in SIZES:
                results[size].append(await measure(engine, size))
        running.cancel()
    print(f"{engine.name}, {ROUNDS} rounds of {TOKENS} tokens each")
    for size, measured in results.items():
        speed, first = (statistics.median(column) for column in zip(*measured, strict=True))
        print(f"{size} at once: {speed:.1f} tokens/s together, first text after {first:.2f} s")


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1] if len(sys.argv) > 1 else "default", user_data_path("trialogue") / "models"))
