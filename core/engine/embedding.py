"""What makes embeddings: texts in, a vector of each out. No torch here, and no network."""

import sys
from array import array
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

Input = str | Sequence[int]
"""A text, or its tokens by the model's own tokenizer, without those that it puts around a text."""


@dataclass(frozen=True, slots=True)
class Embedded:
    """A vector of each input, as `packed` has it, and the tokens that all of them have together."""

    vectors: Sequence[bytes] = field(repr=False)
    tokens: int


class Embedder(Protocol):
    """A model that makes embeddings."""

    name: str

    async def embed(self, inputs: Sequence[Input], dimensions: int | None = None) -> Embedded:
        """Vectors of so many numbers; `None`: of as many as the model makes.

        Raises `InvalidParams`, `PromptTooLong`, `Overloaded`, `EngineError`, and `RefusedByServer` where another
        server says why it does not.
        """
        ...

    async def run(self) -> None:
        """Be there until cancelled. Whoever asks after that gets `EngineStopped`."""
        ...


def packed(values: Iterable[float]) -> bytes:
    """As float32, the lowest byte of each first: what OpenAI's API writes in base64."""
    return _little_endian(array("f", values)).tobytes()


def unpacked(vector: bytes) -> list[float]:
    values = array("f")
    values.frombytes(vector)
    return _little_endian(values).tolist()


def _little_endian(values: "array[float]") -> "array[float]":
    if sys.byteorder == "big":
        values.byteswap()
    return values
