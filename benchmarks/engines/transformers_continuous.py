"""transformers' own continuous batching: its manager, with streamed results.

Paged cache with shared blocks for equal prefixes. Flash attention needs a GPU, so it is SDPA with a mask over the
whole step; a small page and a budget of 512 tokens a step keep that mask small. No compilation: on a CPU it takes
minutes before the first answer.
"""

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import torch  # noqa: TID251
from transformers import AutoModelForCausalLM, ContinuousBatchingConfig, GenerationConfig  # noqa: TID251

from benchmarks.cell import Cell
from benchmarks.chat import END_OF_TURN, Answer, ChatML, Message

_CONTEXT = 1024  # tokens a conversation: more than the longest dialogue here
_PAGE = 32
_STEP_TOKENS = 512


class Continuous:
    def __init__(self, manager: Any, chatml: ChatML) -> None:
        self._manager = manager
        self._chatml = chatml
        self._count = 0

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:
        self._count += 1
        name = f"{conversation}-{self._count}"
        prompt = self._chatml.prompt(history)
        done: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
        first = 0.0

        def take(output: Any) -> None:
            nonlocal first
            first = first or time.perf_counter()
            if output.is_finished():
                done.set_result(output)

        self._manager.register_result_handler(name, take)
        self._manager.add_request(prompt, request_id=name, max_new_tokens=max_tokens, streaming=True)
        output = await done
        if output.error is not None:
            raise RuntimeError(f"transformers failed: {output.error}")
        token_ids = tuple(token_id for token_id in output.generated_tokens if token_id != END_OF_TURN)
        return Answer(token_ids, first, len(output.prompt_ids))


@asynccontextmanager
async def serve(cell: Cell, chatml: ChatML) -> AsyncIterator[Continuous]:
    model = AutoModelForCausalLM.from_pretrained(cell.folder, dtype=torch.bfloat16, attn_implementation="sdpa")
    generation = GenerationConfig(  # type: ignore[no-untyped-call]
        do_sample=False, eos_token_id=END_OF_TURN, pad_token_id=END_OF_TURN
    )
    batching = ContinuousBatchingConfig(
        page_size=_PAGE,
        num_blocks=cell.size * _CONTEXT // _PAGE,
        max_batch_tokens=_STEP_TOKENS,
        max_requests_per_batch=cell.size,
    )
    with model.continuous_batching_context_manager(
        generation_config=generation, continuous_batching_config=batching, timeout=60.0
    ) as manager:
        yield Continuous(manager, chatml)
