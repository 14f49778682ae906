"""What our engine costs beside its speed: `python -m benchmarks.limits [history] [idle] [memory] [linear]`.

history: the time to the first token with 400 and with 4,000 tokens of the conversation in the cache. idle: the
processor time of ten seconds with nothing to do. memory: what the process holds beyond torch and transformers.
linear: the int8 linear layers alone, which bound the tokens per second. Each runs in a process of its own, with
the model as it is by default. Prints what it finds, and writes it to limits.md.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from itertools import chain
from pathlib import Path

from platformdirs import user_data_path

from benchmarks.engines.trialogue import running
from benchmarks.linear import bounds
from benchmarks.load import dataset, dialogues
from benchmarks.machine import cores, describe, memory_now, memory_peak
from core.engine.engine import Message, Params, Usage
from core.engine.local import LocalEngine, LocalSettings

_HISTORIES = (400, 4000)  # tokens
_QUESTIONS = ("What do you think?", "Why is that so?", "Who told you?", "When was it?", "Where was I?")
_REPEATS = 3  # of each question
_IDLE = 10.0  # seconds
_BATCHES = (1, 16, 32, 64)


async def history(models_dir: Path) -> list[str]:
    """The two lengths take turns, and each length is one dialogue with ever another last question."""
    texts = list(chain.from_iterable(dialogues(dataset(), 100, messages=8)))
    seconds: dict[int, list[float]] = {length: [] for length in _HISTORIES}
    cached = dict.fromkeys(_HISTORIES, 0)
    async with running(models_dir) as engine:
        told = {length: _told(engine, texts, length) for length in _HISTORIES}
        for messages in told.values():
            await _ask(engine, messages, "Hello?")
        for question in _QUESTIONS * _REPEATS:
            for length, messages in told.items():
                first, usage = await _ask(engine, messages, question)
                seconds[length].append(first)
                cached[length] = usage.cached
    medians = {length: statistics.median(seconds[length]) for length in _HISTORIES}
    short, long = _HISTORIES
    return [
        *(f"first token with {cached[n]} tokens in the cache: {1000 * medians[n]:.1f} ms" for n in _HISTORIES),
        f"the second is {medians[long] / medians[short]:.2f} times the first",
    ]


async def idle(models_dir: Path) -> list[str]:
    async with running(models_dir) as engine:
        await _ask(engine, [], "Hello?")
        before = time.process_time()
        await asyncio.sleep(_IDLE)
        share = (time.process_time() - before) / _IDLE
    return [f"with nothing to do: {share:.2%} of a core"]


async def memory(models_dir: Path) -> list[str]:
    """torch and transformers are imported with this module."""
    imported = memory_now()
    async with running(models_dir) as engine:
        loaded, most = memory_now(), memory_peak()
        await _ask(engine, [], "Hello?")
        answered = memory_now()
    beyond, at_most, then = (f"{(held - imported) / 1e6:.0f} MB" for held in (loaded, most, answered))
    cache = f"{LocalSettings().kv_cache_gb:.1f} GB"
    return [
        f"loaded, beyond importing torch and transformers: {beyond} ({at_most} at most while loading)",
        f"after one answer: {then}; keys and values take up to {cache} of it as conversations come",
    ]


async def linear(models_dir: Path) -> list[str]:  # noqa: ARG001 it needs no model
    found = await asyncio.to_thread(bounds, _BATCHES, cores())
    return [
        f"linear layers at batch {each.batch}: _int_mm {each.int_mm:.1f} ms, linear_dynamic"
        f" {each.linear_dynamic:.1f} ms, so at most {each.tokens_per_second:.0f} tokens/s"
        for each in found
    ]


def _told(engine: LocalEngine, texts: Sequence[str], length: int) -> list[Message]:
    """A dialogue of `length` tokens or a few more, with a beginning that no other length has."""
    messages = [Message("system", f"You remember {length} tokens.")]
    for question, answer in zip(texts[::2], texts[1::2], strict=True):
        messages += (Message("user", question), Message("assistant", answer))
        if engine.count(messages) >= length:
            return messages
    raise ValueError(f"the texts do not give {length} tokens")


async def _ask(engine: LocalEngine, messages: Sequence[Message], question: str) -> tuple[float, Usage]:
    """Seconds to the first token, and what the answer took."""
    asked, first, usage = time.perf_counter(), 0.0, None
    params = Params(max_tokens=2, temperature=0.0)
    async with engine.generate([*messages, Message("user", question)], params) as deltas:
        async for delta in deltas:
            first = first or time.perf_counter() - asked
            usage = delta.usage or usage
    assert usage is not None, "our engine says what a completion took"
    return first, usage


_COMMANDS = {"history": history, "idle": idle, "memory": memory, "linear": linear}


def _run(command: str, models_dir: Path) -> list[str]:
    return asyncio.run(_COMMANDS[command](models_dir))


def main(arguments: argparse.Namespace) -> None:
    spawn = multiprocessing.get_context("spawn")
    text = ["# What the engine costs", "", *(f"- {line}" for line in describe(("torch", "transformers"))), ""]
    with ProcessPoolExecutor(1, mp_context=spawn, max_tasks_per_child=1) as processes:
        for command in arguments.commands or _COMMANDS:
            lines = processes.submit(_run, command, arguments.models_dir).result()
            print(*lines, sep="\n", flush=True)
            text += (f"- {line}" for line in lines)
    arguments.results.mkdir(parents=True, exist_ok=True)
    (arguments.results / "limits.md").write_text("\n".join([*text, ""]))


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.limits", description=__doc__)
    parser.add_argument("commands", nargs="*", metavar="command", help=", ".join(_COMMANDS))
    parser.add_argument("--results", type=Path, default=Path(__file__).with_name("results"))
    parser.add_argument("--models-dir", type=Path, default=user_data_path("trialogue") / "models")
    parsed = parser.parse_args(arguments)
    if unknown := set(parsed.commands) - _COMMANDS.keys():
        parser.error(f"{min(unknown)!r} is none of {', '.join(_COMMANDS)}")
    return parsed


if __name__ == "__main__":
    main(parse(sys.argv[1:]))
