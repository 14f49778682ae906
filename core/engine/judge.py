"""Which of several replies is most like a human one: a discriminator's checkpoint, read from its folder."""

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoTokenizer

from core.engine import threads
from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.checkpoint import silence_transformers
from core.engine.discriminator import HUMAN, MODEL_TYPE, Discriminator, DiscriminatorConfig
from core.engine.engine import Message
from core.errors import ModelNotFound


def pair(
    ids: Sequence[int], reply: range, end: int, *, context_size: int, reply_size: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """What a discriminator is shown of a conversation's tokens: the last before the reply, and the first of the
    reply with the token that ends it."""
    before = tuple(ids[max(0, reply.start - context_size) : reply.start])
    return before, (*ids[reply.start : reply.stop], end)[:reply_size]


class Judge:
    """The discriminator in `folder`. Computes in a thread of its own, which `close` ends.

    Raises `ModelNotFound`.
    """

    def __init__(self, folder: Path) -> None:
        silence_transformers()
        threads.use(1)
        if not folder.is_dir():
            raise ModelNotFound(f"there is no judge at {folder}: model.judge is a folder with a discriminator")
        hint = "model.judge is the folder `discriminator` of an adversarial training"
        try:
            config = DiscriminatorConfig.from_pretrained(folder)
            if config.model_type != MODEL_TYPE or "Discriminator" not in (config.architectures or ()):
                raise ModelNotFound(f"the model in {folder} is no discriminator: {hint}")
            model_and_report: Any = Discriminator.from_pretrained(folder, output_loading_info=True)
            self._model, report = model_and_report
            if report["missing_keys"]:  # transformers would make them up
                raise ModelNotFound(f"the judge in {folder} lacks some of its weights: {hint}")
            self._model.train(False)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except (OSError, ValueError, RuntimeError, SafetensorError) as error:
            raise ModelNotFound(f"the judge in {folder} cannot be loaded: {hint}") from error
        self._chat = ChatTokenizer(self._tokenizer)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="judge", initializer=threads.use, initargs=(1,))

    async def scores(self, messages: Sequence[Message], replies: Sequence[str]) -> list[float]:
        """How likely each is what a human would reply, from 0 to 1. An empty one is 0."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, self.judged, messages, replies)

    @torch.inference_mode()
    def judged(self, messages: Sequence[Message], replies: Sequence[str]) -> list[float]:
        """`scores`, at once."""
        return [self._score(messages, reply) if reply.strip() else 0.0 for reply in replies]

    def close(self) -> None:
        self._thread.shutdown(wait=False)

    def _score(self, messages: Sequence[Message], reply: str) -> float:
        if messages and messages[-1].role == "assistant":  # what is gone on with
            messages, reply = messages[:-1], messages[-1].text + reply
        ids, answers = self._chat.transcript((*messages, Message("assistant", reply)))
        config = self._model.config
        before, said = pair(
            ids,
            answers[-1],
            self._tokenizer.eos_token_id,
            context_size=config.context_size,
            reply_size=config.reply_size,
        )
        kinds = torch.tensor([[0] * len(before) + [1] * len(said)])
        logits = self._model(input_ids=torch.tensor([before + said]), token_type_ids=kinds).logits
        return float(logits.softmax(-1)[0, HUMAN])
