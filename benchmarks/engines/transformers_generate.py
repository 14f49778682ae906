"""transformers' own `generate`, as people use it: one request after the other behind a lock, or batched.

Batched is a static batch with padding on the left: it begins when everybody has asked, and the next one when the
longest answer of this one is there. Neither keeps anything between turns. SDPA attention, and float32: bfloat16
decodes up to 1.6 times as fast on a processor without AMX, but reads a prompt 1.5 times as slowly, and prompts are
most of the work.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any

import torch  # noqa: TID251
from transformers import AutoModelForCausalLM, StoppingCriteria, StoppingCriteriaList  # noqa: TID251

from benchmarks.cell import Cell
from benchmarks.chat import END_OF_TURN, Answer, ChatML, Message


class _FirstToken(StoppingCriteria):
    """Never stops; remembers when it was asked for the first time, which is after the first token."""

    def __init__(self) -> None:
        self.at = 0.0

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor, **_: Any) -> torch.Tensor:  # noqa: ARG002
        self.at = self.at or time.perf_counter()
        return torch.zeros(len(input_ids), dtype=torch.bool)


class Generate:
    """Waits until `together` have asked, then answers them in one call."""

    def __init__(self, model: Any, chatml: ChatML, thread: ThreadPoolExecutor, together: int) -> None:
        self._model = model
        self._chatml = chatml
        self._together = together
        self._waiting: list[tuple[list[int], asyncio.Future[Answer]]] = []
        self._thread = thread

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:  # noqa: ARG002
        loop = asyncio.get_running_loop()
        mine: asyncio.Future[Answer] = loop.create_future()
        self._waiting.append((self._chatml.prompt(history), mine))
        if len(self._waiting) == self._together:
            batch, self._waiting = self._waiting, []
            prompts = [prompt for prompt, _ in batch]
            answers = await loop.run_in_executor(self._thread, self._generate, prompts, max_tokens)
            for (_, future), answer in zip(batch, answers, strict=True):
                future.set_result(answer)
        return await mine

    @torch.inference_mode()
    def _generate(self, prompts: list[list[int]], max_tokens: int) -> list[Answer]:
        longest = max(map(len, prompts))
        token_ids = torch.tensor([[END_OF_TURN] * (longest - len(prompt)) + prompt for prompt in prompts])
        mask = torch.tensor([[0] * (longest - len(prompt)) + [1] * len(prompt) for prompt in prompts])
        first = _FirstToken()
        output = self._model.generate(
            token_ids,
            attention_mask=mask,
            max_new_tokens=max_tokens,
            do_sample=False,
            eos_token_id=END_OF_TURN,
            pad_token_id=END_OF_TURN,
            stopping_criteria=StoppingCriteriaList([first]),
        )
        rows = (row[longest:].tolist() for row in output)
        return [
            Answer(tuple(row[: row.index(END_OF_TURN)] if END_OF_TURN in row else row), first.at, len(prompt))
            for row, prompt in zip(rows, prompts, strict=True)
        ]


@asynccontextmanager
async def serve(cell: Cell, chatml: ChatML) -> AsyncIterator[Generate]:
    model: Any = AutoModelForCausalLM.from_pretrained(cell.folder, dtype=torch.float32, attn_implementation="sdpa")
    with ThreadPoolExecutor(1, thread_name_prefix="generate") as thread:
        yield Generate(model, chatml, thread, cell.size if cell.variant == "batched" else 1)
