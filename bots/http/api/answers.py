"""What is answered, in OpenAI's two forms: of a chat and of a plain text. Knows no HTTP."""

import secrets
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

from core.engine.engine import Delta, Logprob, Usage

Spell = Callable[[int], bytes]


class Form(Protocol):
    """How the choices of an answer look, whole and in pieces."""

    prefix: str
    whole: str
    piece: str

    def opening(self, index: int) -> dict[str, Any] | None:
        """What a stream says before a choice's first word."""
        ...

    def part(
        self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None
    ) -> dict[str, Any]: ...

    def choice(
        self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None
    ) -> dict[str, Any]: ...

    def logprobs(self, made: Sequence[Logprob], spell: Spell, offset: int) -> dict[str, Any]:
        """Of tokens whose text begins `offset` characters after the prompt."""
        ...


class ChatForm:
    prefix, whole, piece = "chatcmpl-", "chat.completion", "chat.completion.chunk"

    def opening(self, index: int) -> dict[str, Any] | None:
        return self._with({"role": "assistant", "content": ""}, index, None, None)

    def part(self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        return self._with({"content": text} if text else {}, index, logprobs, finish)

    def choice(self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        message = {"role": "assistant", "content": text, "refusal": None}
        return {"index": index, "message": message, "logprobs": logprobs, "finish_reason": finish}

    def logprobs(self, made: Sequence[Logprob], spell: Spell, offset: int) -> dict[str, Any]:  # noqa: ARG002
        def told(token_id: int, logprob: float) -> dict[str, Any]:
            spelled = spell(token_id)
            return {"token": _readable(spelled), "logprob": logprob, "bytes": list(spelled)}

        content = [
            told(each.token_id, each.logprob) | {"top_logprobs": [told(*other) for other in each.top]}
            for each in made
        ]
        return {"content": content, "refusal": None}

    def _with(
        self, delta: dict[str, Any], index: int, logprobs: dict[str, Any] | None, finish: str | None
    ) -> dict[str, Any]:
        return {"index": index, "delta": delta, "logprobs": logprobs, "finish_reason": finish}


class TextForm:
    prefix, whole, piece = "cmpl-", "text_completion", "text_completion"

    def opening(self, index: int) -> dict[str, Any] | None:  # noqa: ARG002
        return None

    def part(self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        return self.choice(index, text, logprobs, finish)

    def choice(self, index: int, text: str, logprobs: dict[str, Any] | None, finish: str | None) -> dict[str, Any]:
        return {"index": index, "text": text, "logprobs": logprobs, "finish_reason": finish}

    def logprobs(self, made: Sequence[Logprob], spell: Spell, offset: int) -> dict[str, Any]:
        tokens = [_readable(spell(each.token_id)) for each in made]
        offsets = [offset + sum(map(len, tokens[:i])) for i in range(len(tokens))]
        return {
            "tokens": tokens,
            "token_logprobs": [each.logprob for each in made],
            "top_logprobs": [{_readable(spell(token)): value for token, value in each.top} for each in made],
            "text_offset": offsets,
        }


class Answer:
    """One answer while it is made: takes deltas, gives what is sent."""

    def __init__(self, form: Form, *, model: str, choices: int, fingerprint: str, with_logprobs: bool) -> None:
        self._form = form
        self._with_logprobs = with_logprobs
        self._choices = [_Choice() for _ in range(choices)]
        self._usages: list[Usage] = []
        self._head = {
            "id": form.prefix + secrets.token_hex(12),
            "created": int(time.time()),
            "model": model,
            "system_fingerprint": fingerprint or None,
        }

    @property
    def made(self) -> int:
        """Tokens so far, or pieces of text where they are not known."""
        return sum(choice.made for choice in self._choices)

    @property
    def usage(self) -> dict[str, Any] | None:
        """OpenAI's form; `None` where the engine does not know. The choices share their prompt."""
        if not self._usages:
            return None
        prompt = max(usage.prompt for usage in self._usages)
        completion = sum(usage.completion for usage in self._usages)
        return {
            "prompt_tokens": prompt,
            "completion_tokens": completion,
            "total_tokens": prompt + completion,
            "prompt_tokens_details": {"cached_tokens": min(usage.cached for usage in self._usages)},
        }

    def openings(self) -> Iterator[dict[str, Any]]:
        for index in range(len(self._choices)):
            if (opening := self._form.opening(index)) is not None:
                yield self._chunk([opening])

    def add(self, delta: Delta, spell: Spell) -> Iterator[dict[str, Any]]:
        """Take a delta, and give it in pieces. The end of a choice is a piece of its own, as clients know it."""
        index, choice = delta.candidate, self._choices[delta.candidate]
        logprobs = None
        if self._with_logprobs and delta.logprobs:
            logprobs = self._form.logprobs(delta.logprobs, spell, len(choice.text))
        choice.add(delta, logprobs)
        if delta.usage is not None:
            self._usages.append(delta.usage)
        if delta.text or logprobs is not None:
            yield self._chunk([self._form.part(index, delta.text, logprobs, None)])
        if delta.finish:
            yield self._chunk([self._form.part(index, "", None, delta.finish)])

    def usage_chunk(self) -> dict[str, Any]:
        return {**self._chunk([]), "usage": self.usage}

    def complete(self) -> dict[str, Any]:
        choices = [
            self._form.choice(index, choice.text, choice.logprobs, choice.finish)
            for index, choice in enumerate(self._choices)
        ]
        return {**self._head, "object": self._form.whole, "choices": choices, "usage": self.usage}

    def _chunk(self, choices: list[dict[str, Any]]) -> dict[str, Any]:
        return {**self._head, "object": self._form.piece, "choices": choices}


class _Choice:
    def __init__(self) -> None:
        self.text = ""
        self.made = 0
        self.finish: str | None = None
        self.logprobs: dict[str, Any] | None = None

    def add(self, delta: Delta, logprobs: dict[str, Any] | None) -> None:
        self.text += delta.text
        self.made += len(delta.token_ids) or bool(delta.text)
        self.finish = delta.finish or None
        if self.logprobs is None:
            self.logprobs = logprobs
        elif logprobs is not None:
            self.logprobs = {
                name: [*before, *logprobs[name]] if isinstance(before, list) else before
                for name, before in self.logprobs.items()
            }


def _readable(spelled: bytes) -> str:
    return spelled.decode(errors="replace")
