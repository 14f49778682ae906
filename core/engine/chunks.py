"""What a server streams by OpenAI's two ways of completing, as deltas. Knows no connection and no time."""

from collections import defaultdict, deque
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Any

from openai.types import Completion, CompletionUsage
from openai.types.chat import ChatCompletionChunk, ChatCompletionTokenLogprob
from openai.types.chat.chat_completion_chunk import ChoiceDeltaToolCall

from core.engine.engine import Call, Delta, Logprob, Usage

_TOKEN_ID = "token_id:"  # noqa: S105 in the place of a token, from a vLLM that is told to return ids
_GIVEN_UP = {"abort", "error"}  # what vLLM, SGLang and OpenRouter say when it was they who ended it


class Chunks:
    """One answer to a chat, of `candidates` choices, chunk by chunk; `deltas` are those that nobody has taken yet.

    A server tells what it took after the last choice has ended, and for all choices together: so the very last
    delta is made by `close`, and it alone has the usage. The log-probabilities of tokens without text come with
    the candidate's next delta. The API has no token ids: each token gets a negative number, the same token the
    same one throughout the answer, unless the server writes ids in the place of tokens.
    """

    def __init__(self, candidates: int) -> None:
        self.deltas: deque[Delta] = deque()
        self._candidates = range(candidates)
        self._open = set(self._candidates)
        self._last = Delta("")
        self._usage: Usage | None = None
        self._logprobs: dict[int, list[Logprob]] = defaultdict(list)
        self._calls: dict[tuple[int, int], Call] = {}
        self._numbers: dict[str, int] = {}
        self._spelled: dict[int, bytes] = {}

    @property
    def complete(self) -> bool:
        """Whether every choice has ended."""
        return not self._open

    def add(self, chunk: ChatCompletionChunk | Completion) -> None:
        """Raises `ValueError`, `TypeError` or `AttributeError` for what the API does not promise."""
        if chunk.usage is not None:
            self._usage = _usage(chunk.usage)
        for choice in chunk.choices or ():
            if choice.index not in self._candidates or choice.finish_reason in _GIVEN_UP:
                raise ValueError("a choice that nobody asked for, or that was given up")
            if choice.index in self._open:
                self._read(choice)

    def spell(self, number: int) -> bytes:
        """The token that was given this number; of one that the server told by its id, nothing is known."""
        return self._spelled.get(number, b"")

    def close(self) -> None:
        """A complete answer has come to its end."""
        self.deltas.append(replace(self._last, usage=self._usage))

    def _read(self, choice: Any) -> None:
        number = choice.index
        if choice.logprobs is not None:
            self._logprobs[number] += self._told(choice.logprobs)
        if text := self._text(choice):
            logprobs = tuple(self._logprobs.pop(number, ()))
            self.deltas.append(Delta(text, candidate=number, logprobs=logprobs))
        for piece in self._pieces(choice):
            self._call(number, piece)
        if choice.finish_reason is not None:
            last = Delta(
                "",
                finish="length" if choice.finish_reason == "length" else "stop",
                candidate=number,
                logprobs=tuple(self._logprobs.pop(number, ())),
                calls=tuple(call for (of, _), call in sorted(self._calls.items()) if of == number),
            )
            self._open.discard(number)
            if self._open:
                self.deltas.append(last)
            else:
                self._last = last

    def _text(self, choice: Any) -> str | None:
        return choice.delta.content  # type: ignore[no-any-return]

    def _told(self, logprobs: Any) -> Iterable[Logprob]:
        return map(self._logprob, logprobs.content or ())

    def _pieces(self, choice: Any) -> Iterable[ChoiceDeltaToolCall]:
        return choice.delta.tool_calls or ()

    def _call(self, candidate: int, piece: ChoiceDeltaToolCall) -> None:
        """A call comes in pieces: its name first, and its arguments a few letters at a time."""
        where, function = (candidate, piece.index), piece.function
        so_far = self._calls.get(where) or Call(f"call_{piece.index}", "", "")
        if function is not None:
            name, arguments = so_far.name + (function.name or ""), so_far.arguments + (function.arguments or "")
            so_far = replace(so_far, name=name, arguments=arguments)
        self._calls[where] = replace(so_far, id=piece.id or so_far.id)

    def _logprob(self, told: ChatCompletionTokenLogprob) -> Logprob:
        others = told.top_logprobs or ()
        top = tuple((self._number(other.token, other.bytes), other.logprob) for other in others)
        return Logprob(self._number(told.token, told.bytes), told.logprob, top)

    def _number(self, token: str, spelled: list[int] | None) -> int:
        if token.startswith(_TOKEN_ID):
            return int(token.removeprefix(_TOKEN_ID))
        number = self._numbers.setdefault(token, -1 - len(self._numbers))
        self._spelled[number] = token.encode(errors="replace") if spelled is None else bytes(spelled)
        return number


class TextChunks(Chunks):
    """One answer to a plain text."""

    def _text(self, choice: Any) -> str | None:
        return choice.text  # type: ignore[no-any-return]

    def _pieces(self, choice: Any) -> Iterable[ChoiceDeltaToolCall]:  # noqa: ARG002
        return ()

    def _told(self, logprobs: Any) -> Iterator[Logprob]:
        tokens = logprobs.tokens or ()
        tops = logprobs.top_logprobs or [{}] * len(tokens)
        for token, logprob, top in zip(tokens, logprobs.token_logprobs, tops, strict=True):
            likeliest = sorted((top or {}).items(), key=lambda each: -each[1])
            others = tuple((self._number(other, None), value) for other, value in likeliest)
            yield Logprob(self._number(token, None), logprob, others)


def _usage(told: CompletionUsage) -> Usage:
    details = told.prompt_tokens_details
    cached = details.cached_tokens if details is not None else None
    return Usage(told.prompt_tokens, cached or 0, told.completion_tokens)
