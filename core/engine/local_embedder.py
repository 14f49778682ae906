"""Embeddings by an encoder in this process: each text's tokens are read, and what the last layer makes of them is
one vector of length 1. On a thread of its own with one core, beside the model that answers.

A folder as transformers or sentence-transformers saves it. How the tokens become one vector is in its
`1_Pooling/config.json`: their mean, as it is also where nothing is said, or the first one's.
"""

import asyncio
import logging
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import msgspec
import torch
from transformers import AutoModel, AutoTokenizer

from core.engine import threads
from core.engine.checkpoint import explained, silence_transformers
from core.engine.embedding import Embedded, Input, packed
from core.errors import (
    CoreError,
    EngineError,
    EngineStopped,
    InvalidParams,
    ModelNotFound,
    Overloaded,
    PromptTooLong,
)

log = logging.getLogger(__name__)

_HINT = "Give a folder of an encoder, with config.json, tokenizer.json and *.safetensors in it"
_MODULES = {"Transformer", "Pooling", "Normalize"}  # of sentence-transformers: what is computed here
_MOST_AT_ONCE = 32  # texts in a forward pass
_MOST_TOKENS = 8192  # of them, padded
_MOST_WAITING = 64  # requests; each has a body of a megabyte at most


class LocalEmbedder:
    """The encoder in `folder`. Loading it blocks for seconds: call it in a thread. Raises `ModelNotFound`."""

    def __init__(self, folder: Path) -> None:
        threads.use(1)
        silence_transformers()
        self.name = folder.resolve().name
        if not (folder / "config.json").is_file():
            raise ModelNotFound(f"there is no embeddings model at {folder}. {_HINT}")
        with explained(self.name, _HINT):
            self._first_only = _pools_first_only(folder)
            self._tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
            self._model = _encoder(folder)
            self._longest = _longest(folder, self._tokenizer, self._model.config)
        self._rows = self._model.get_input_embeddings().weight.shape[0]
        self._before, self._after = _around(self._tokenizer)
        self._thread: ThreadPoolExecutor | None = None
        self._waiting = 0

    async def embed(self, inputs: Sequence[Input], dimensions: int | None = None) -> Embedded:
        """See `Embedder.embed`. Other requests come in between its forward passes."""
        if dimensions is not None and dimensions != self._model.config.hidden_size:
            raise InvalidParams(f"this model's vectors have {self._model.config.hidden_size} dimensions")
        if self._waiting >= _MOST_WAITING:
            raise Overloaded(f"{self._waiting} requests wait for embeddings")
        self._waiting += 1
        try:
            prompts = await self._off_the_loop(self._prompts, inputs)
            vectors = [b""] * len(prompts)
            for batch in _batches(prompts):
                made = await self._off_the_loop(self._read, [prompts[number] for number in batch])
                for number, vector in zip(batch, made, strict=True):
                    vectors[number] = vector
            return Embedded(vectors, sum(map(len, prompts)))
        finally:
            self._waiting -= 1

    async def run(self) -> None:
        self._thread = ThreadPoolExecutor(1, "embedder", initializer=threads.use, initargs=(1,))
        try:
            await asyncio.get_running_loop().create_future()
        finally:
            thread, self._thread = self._thread, None
            thread.shutdown(wait=False, cancel_futures=True)  # a pass that is under way ends by itself

    async def _off_the_loop(self, work: Any, argument: Any) -> Any:
        if self._thread is None:
            raise EngineStopped("the embeddings model is not running")
        try:
            return await asyncio.get_running_loop().run_in_executor(self._thread, work, argument)
        except CoreError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever model and tokenizer raise is one error
            log.error("embeddings failed in the model: %s", type(error).__name__)  # noqa: TRY400 it may quote
            raise EngineError(f"the embeddings model failed with a {type(error).__name__}") from None

    def _prompts(self, inputs: Sequence[Input]) -> list[list[int]]:
        texts = [each for each in inputs if isinstance(each, str)]
        encoded = iter(self._tokenizer(texts, add_special_tokens=False)["input_ids"] if texts else ())
        return [self._prompt(next(encoded) if isinstance(each, str) else each) for each in inputs]

    def _prompt(self, tokens: Sequence[int]) -> list[int]:
        prompt = [*self._before, *tokens, *self._after]
        if len(prompt) > self._longest:
            raise PromptTooLong(f"an input has {len(prompt)} tokens, and the model reads {self._longest}")
        if not all(0 <= token < self._rows for token in tokens):
            raise InvalidParams(f"the tokens of this model are from 0 to {self._rows - 1}")
        return prompt

    @torch.inference_mode()
    def _read(self, prompts: Sequence[Sequence[int]]) -> list[bytes]:
        longest, padding = max(map(len, prompts)), self._tokenizer.pad_token_id or 0
        ids = torch.tensor([[*prompt, *[padding] * (longest - len(prompt))] for prompt in prompts])
        mask = torch.tensor([[1] * len(prompt) + [0] * (longest - len(prompt)) for prompt in prompts])
        hidden = self._model(input_ids=ids, attention_mask=mask).last_hidden_state
        if self._first_only:
            pooled = hidden[:, 0]
        else:
            pooled = (hidden * mask.unsqueeze(-1)).sum(1) / mask.sum(1, keepdim=True)
        vectors = torch.nn.functional.normalize(pooled.float(), dim=1)
        if not vectors.isfinite().all():
            raise EngineError("the embeddings model made something that is no number")
        return [packed(vector) for vector in vectors.tolist()]


def _batches(prompts: Sequence[Sequence[int]]) -> Iterator[list[int]]:
    """Numbers of prompts of about the same length, the longest first: little of a pass is padding."""
    batch: list[int] = []
    for number in sorted(range(len(prompts)), key=lambda number: -len(prompts[number])):
        if batch and (len(batch) == _MOST_AT_ONCE or (len(batch) + 1) * len(prompts[batch[0]]) > _MOST_TOKENS):
            yield batch
            batch = []
        batch.append(number)
    yield batch


def _encoder(folder: Path) -> Any:
    model_and_report: Any = AutoModel.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True, trust_remote_code=False
    )
    model, report = model_and_report
    if model.config.is_encoder_decoder:
        raise ModelNotFound(f"the model in {folder} is no encoder. {_HINT}")
    # A pooler is for another task, and often left out.
    if missing := [key for key in report["missing_keys"] if not key.startswith("pooler.")]:
        raise ModelNotFound(f"the model in {folder} lacks {len(missing)} of its weights. {_HINT}")
    return model.eval()


def _pools_first_only(folder: Path) -> bool:
    """Raises `ModelNotFound` for what is not computed here."""
    for module in _json(folder / "modules.json", []):
        if (kind := module["type"].rpartition(".")[2]) not in _MODULES:
            raise ModelNotFound(f"the model in {folder} ends with a {kind}, which is not computed here. {_HINT}")
    told = _json(folder / "1_Pooling" / "config.json", {"pooling_mode_mean_tokens": True})
    modes = {name for name, value in told.items() if name.startswith("pooling_mode_") and value is True}
    if modes not in ({"pooling_mode_mean_tokens"}, {"pooling_mode_cls_token"}):
        raise ModelNotFound(f"how the model in {folder} pools is not computed here: mean and first token are")
    return modes == {"pooling_mode_cls_token"}


def _longest(folder: Path, tokenizer: Any, config: Any) -> int:
    """How many tokens it was made for: the least of what its files say."""
    told = (
        _json(folder / "sentence_bert_config.json", {}).get("max_seq_length"),
        tokenizer.model_max_length,
        getattr(config, "max_position_embeddings", None),
    )
    return min(int(most) for most in told if most)


def _around(tokenizer: Any) -> tuple[list[int], list[int]]:
    """What the tokenizer puts before and after a text."""
    bare, whole = (tokenizer("a", add_special_tokens=added)["input_ids"] for added in (False, True))
    start = next(i for i in range(len(whole)) if whole[i : i + len(bare)] == bare)
    return whole[:start], whole[start + len(bare) :]


def _json(path: Path, default: Any) -> Any:
    return msgspec.json.decode(path.read_bytes()) if path.is_file() else default
