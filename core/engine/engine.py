"""What an engine is: messages in, text out as it becomes final. No torch here.

`core.engine.local` runs a model in this process, `core.engine.remote` speaks to an OpenAI-compatible server and
`core.engine.scripted` says what it was told; a dialogue cannot tell them apart.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from typing import Literal, Protocol


@dataclass(frozen=True, slots=True)
class Message:
    """One message of a prompt.

    `token_ids` are the tokens that a model once made for `text`, by the tokenizer with the fingerprint
    `tokenizer`: an engine with the same fingerprint splices them in, so that the prompt's prefix is the same.
    """

    role: Literal["system", "user", "assistant"]
    text: str = field(repr=False)
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    tokenizer: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Params:
    """How a completion is sampled. `temperature` 0 is greedy; `seed` makes sampling repeatable."""

    max_tokens: int = 512
    temperature: float = 0.7
    top_p: float = 0.9
    top_k: int = 0
    repetition_penalty: float = 1.0
    seed: int | None = None
    stop: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Delta:
    """Newly final text, with the tokens it came from. The last one says why the completion ended."""

    text: str = field(repr=False)
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    finish: Literal["", "stop", "length"] = ""


class Engine(Protocol):
    """A model that answers several conversations at once.

    `context` is the number of tokens that prompt and completion may have together. `fingerprint` names the
    tokenizer (empty: none is known). `continues`: whether a last message of the role "assistant" is taken as
    unfinished and gone on with; where it is not, the answer is made anew.
    """

    name: str
    context: int
    fingerprint: str
    continues: bool

    def count(self, messages: Sequence[Message]) -> int:
        """The prompt's length in tokens with the chat template around it, or a safe upper bound."""
        ...

    def generate(
        self, messages: Sequence[Message], params: Params
    ) -> AbstractAsyncContextManager[AsyncIterator[Delta]]:
        """A completion while it is made. Leaving the context is the only way to cancel, and always enough.

        Raises `Overloaded` (the waiting line is full), `PromptTooLong`, and while iterating `EngineError`.
        """
        ...

    async def run(self) -> None:
        """Run the model until cancelled. Whatever waits then gets `EngineStopped`."""
        ...
