"""People who talk to an engine: each asks the next question as soon as the answer is there. Knows no engine.

Prompts are token ids, made here once for all engines: SmolLM2's ChatML around each message, with an engine's own
answers spliced in as the ids that it made. So all of them read the same number of tokens for the same dialogue,
and an engine that keeps keys and values between turns finds exactly the prefix that it computed.
"""

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from tokenizers import Tokenizer

END_OF_TURN = 2
"""<|im_end|> in SmolLM2's vocabulary."""

SYSTEM = (
    "You are a friendly member of a chat community. Answer in a few plain sentences, stay on the subject, and ask"
    " back when something is unclear. Never claim to be a person."
)
"""The shared system prompt."""


@dataclass(frozen=True, slots=True)
class Message:
    """One message. `token_ids` are what the engine made for `text`; empty for what people wrote."""

    role: str
    text: str
    token_ids: tuple[int, ...] = ()


@dataclass(frozen=True, slots=True)
class Answer:
    """What an engine made: its tokens without the one that ended it, the `time.perf_counter()` at which the first
    was there, the length of the prompt by the engine's own count, and how much of that it had in its cache (`None`
    where it does not say)."""

    token_ids: tuple[int, ...]
    first: float
    prompt: int
    cached: int | None = None


class Served(Protocol):
    """An engine that is ready. Calls overlap: one at a time for each conversation, all conversations at once."""

    async def answer(self, conversation: int, history: Sequence[Message], max_tokens: int) -> Answer:
        """The greedy completion of the history, which ends with a user's message."""
        ...


@dataclass(frozen=True, slots=True)
class Turn:
    """One question and its answer. `number` counts from 0 in a conversation; `first` is in seconds from the
    question; `expected` is the prompt's length by our count and `prompt` by the engine's."""

    conversation: int
    number: int
    first: float
    tokens: int
    prompt: int
    expected: int
    cached: int | None


class ChatML:
    """Messages to token ids and back, by a model's tokenizer.json."""

    def __init__(self, tokenizer: Path) -> None:
        self._tokenizer: Tokenizer = Tokenizer.from_file(str(tokenizer))

    def prompt(self, history: Sequence[Message]) -> list[int]:
        """The prompt for the answer to `history`."""
        token_ids: list[int] = []
        text = ""
        for message in history:
            text += f"<|im_start|>{message.role}\n"
            if message.token_ids:
                token_ids += (*self.encode(text), *message.token_ids)
                text = ""
            else:
                text += message.text
            text += "<|im_end|>\n"
        return [*token_ids, *self.encode(f"{text}<|im_start|>assistant\n")]

    def encode(self, text: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, token_ids: Sequence[int]) -> str:
        return self._tokenizer.decode(list(token_ids), skip_special_tokens=False)


async def converse(
    engine: Served, chatml: ChatML, conversations: Sequence[Sequence[str]], max_tokens: int
) -> list[Turn]:
    """All conversations at once, each a list of questions, in a closed loop. Turns come in the order of ending."""
    turns: list[Turn] = []

    async def talk(conversation: int, questions: Sequence[str]) -> None:
        history = [Message("system", SYSTEM)]
        for number, question in enumerate(questions):
            history.append(Message("user", question))
            expected = len(chatml.prompt(history))
            asked = time.perf_counter()
            answer = await engine.answer(conversation, history, max_tokens)
            turns.append(
                Turn(
                    conversation=conversation,
                    number=number,
                    first=answer.first - asked,
                    tokens=len(answer.token_ids),
                    prompt=answer.prompt,
                    expected=expected,
                    cached=answer.cached,
                )
            )
            history.append(Message("assistant", chatml.decode(answer.token_ids), answer.token_ids))

    async with asyncio.TaskGroup() as group:
        for conversation, questions in enumerate(conversations):
            group.create_task(talk(conversation, questions))
    return turns
