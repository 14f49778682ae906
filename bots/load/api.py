"""Says it to any server with OpenAI's API: each conversation with its history, one turn after the other."""

import asyncio
import time
from collections.abc import Callable, Sequence

import openai
from openai import AsyncOpenAI
from openai.types.chat import ChatCompletionMessageParam

from bots.load.outcome import Answered

Told = Callable[[Answered], None]


async def play(
    client: AsyncOpenAI,
    conversations: Sequence[Sequence[str]],
    *,
    model: str,
    at_once: int,
    max_tokens: int,
    told: Told,
) -> None:
    """All of them, `at_once` at any time; `told` hears of each turn. A turn that fails ends its conversation."""
    began = time.perf_counter()
    left = iter(conversations)

    async def lane() -> None:
        for messages in left:
            await _converse(client, messages, model=model, max_tokens=max_tokens, began=began, told=told)

    async with asyncio.TaskGroup() as group:
        for _ in range(at_once):
            group.create_task(lane())


async def _converse(
    client: AsyncOpenAI, messages: Sequence[str], *, model: str, max_tokens: int, began: float, told: Told
) -> None:
    history: list[ChatCompletionMessageParam] = []
    for text in messages:
        history.append({"role": "user", "content": text})
        asked = time.perf_counter()
        try:
            answer, first, tokens = await _ask(client, history, model, max_tokens)
        except openai.APIError as exc:
            kind = f"{exc.status_code}" if isinstance(exc, openai.APIStatusError) else type(exc).__name__
            told(Answered(at=asked - began, whole=time.perf_counter() - asked, error=kind))
            return
        told(
            Answered(
                at=asked - began,
                whole=time.perf_counter() - asked,
                first=None if first is None else first - asked,
                tokens=tokens,
            )
        )
        history.append({"role": "assistant", "content": answer})


async def _ask(
    client: AsyncOpenAI, history: list[ChatCompletionMessageParam], model: str, max_tokens: int
) -> tuple[str, float | None, int]:
    """The answer, when its first word came, and how many tokens it has."""
    text, first, tokens = "", None, 0
    stream = await client.chat.completions.create(
        model=model,
        messages=history,
        max_tokens=max_tokens,
        stream=True,
        stream_options={"include_usage": True},
    )
    async with stream:
        async for chunk in stream:
            if chunk.usage is not None:
                tokens = chunk.usage.completion_tokens
            for choice in chunk.choices:
                if choice.delta.content:
                    first = first or time.perf_counter()
                    text += choice.delta.content
    return text, first, tokens
