"""Our own engine, in this process, through its public interface. The settings are the defaults.

It applies its own chat template and counts its own tokens; the others are given the finished prompt.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks.cell import Cell
from benchmarks.chat import Answer, ChatML, Message
from core.engine import engine as core
from core.engine.loading import ChosenPrecision, load
from core.engine.local import LocalEngine, LocalSettings


class Trialogue:
    def __init__(self, engine: LocalEngine) -> None:
        self._engine = engine

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:
        messages = [self._message(message) for message in history]
        params = core.Params(max_tokens=max_tokens, temperature=0.0)
        caller = core.Caller(user=str(conversation), conversation=str(conversation))
        first, token_ids, usage = 0.0, list[int](), None
        async with self._engine.generate(messages, params, caller) as deltas:
            async for delta in deltas:
                first = first or time.perf_counter()
                token_ids += delta.token_ids
                usage = delta.usage or usage
        assert usage is not None, "our engine always says what a completion took"
        return Answer(tuple(token_ids), first, usage.prompt, usage.cached)

    def _message(self, message: Message) -> core.Message:
        match message.role:
            case "system" | "user" | "assistant" as role:
                return core.Message(role, message.text, message.token_ids, self._engine.fingerprint)
            case _:
                raise ValueError(f"no such role: {message.role}")


@asynccontextmanager
async def serve(cell: Cell, chatml: ChatML) -> AsyncIterator[Trialogue]:  # noqa: ARG001 it has its own
    async with running(Path(cell.models_dir), cell.variant) as engine:
        yield Trialogue(engine)


@asynccontextmanager
async def running(models_dir: Path, precision: str = "auto") -> AsyncIterator[LocalEngine]:
    """The engine itself, with the bundled model."""
    loaded = load(
        "default",
        models_dir=models_dir,
        precision=msgspec.convert(precision, ChosenPrecision),
        progress=lambda _what, _share: None,
    )
    engine = LocalEngine(loaded, LocalSettings(native=models_dir.parent / "native"))
    async with asyncio.TaskGroup() as group:
        model = group.create_task(engine.run())
        try:
            yield engine
        finally:
            model.cancel()
