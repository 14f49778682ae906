"""Calls of tools in what a model writes, in the form that Qwen's and Hermes' chat templates teach: JSON between
`<tool_call>` and `</tool_call>`. Pure; knows no model and no tool.
"""

import json
from collections import defaultdict
from dataclasses import replace
from typing import Any

from core.engine.around import AroundCompletion
from core.engine.engine import Call, Completion, Delta, Logprob

OPENING, CLOSING = "<tool_call>", "</tool_call>"


class ToolCalls:
    """The calls in one text, which comes piece by piece. What only looks like a call stays text."""

    def __init__(self) -> None:
        self.found: list[Call] = []
        self._held = ""  # the text's end, as long as a call may begin in it, or goes on
        self._calling = False

    @property
    def holds_back(self) -> bool:
        return bool(self._held) or self._calling

    def add(self, text: str) -> str:
        """The text that is final now, without calls."""
        self._held += text
        final = ""
        while True:
            mark = CLOSING if self._calling else OPENING
            before, found, after = self._held.partition(mark)
            if not found:
                break
            final += self._called(before, CLOSING) if self._calling else before
            self._held, self._calling = after, not self._calling
        if self._calling:
            return final
        kept = _beginning(self._held, OPENING)
        final += self._held[: len(self._held) - kept]
        self._held = self._held[len(self._held) - kept :]
        return final

    def flush(self) -> str:
        """What was held back, at the end of the text. A model may end its turn within the last call's mark."""
        held, self._held = self._held, ""
        if not self._calling:
            return held
        self._calling = False
        return self._called(held, "")

    def _called(self, body: str, closing: str) -> str:
        """Nothing, if `body` is a call; else what stands there."""
        call = _parsed(body, f"call_{len(self.found)}")
        if call is None:
            return f"{OPENING}{body}{closing}"
        self.found.append(call)
        return ""


class Calling(AroundCompletion):
    """`inner` with its calls of tools taken out of the text: the last delta of a candidate has them."""

    def __init__(self, inner: Completion) -> None:
        super().__init__(inner)
        self._candidates: defaultdict[int, _Candidate] = defaultdict(_Candidate)

    def __aiter__(self) -> "Calling":
        return self

    async def __anext__(self) -> Delta:
        while True:
            made = await anext(self._inner)
            delta = self._candidates[made.candidate].add(made)
            if delta.text or delta.finish:
                return delta


class _Candidate:
    """Tokens follow their text, as in every completion."""

    def __init__(self) -> None:
        self._calls = ToolCalls()
        self._tokens: tuple[int, ...] = ()
        self._logprobs: tuple[Logprob, ...] = ()

    def add(self, delta: Delta) -> Delta:
        text = self._calls.add(delta.text)
        self._tokens += delta.token_ids
        self._logprobs += delta.logprobs
        if delta.finish:
            text += self._calls.flush()
        elif self._calls.holds_back or not text:
            return replace(delta, text=text, token_ids=(), logprobs=())
        tokens, logprobs = self._tokens, self._logprobs
        self._tokens, self._logprobs = (), ()
        calls = tuple(self._calls.found) if delta.finish else ()
        return replace(delta, text=text, token_ids=tokens, logprobs=logprobs, calls=calls)


def _beginning(text: str, mark: str) -> int:
    """The length of the longest end of `text` with which `mark` may begin."""
    longest = min(len(text), len(mark) - 1)
    return next((length for length in range(longest, 0, -1) if text.endswith(mark[:length])), 0)


def _parsed(body: str, number: str) -> Call | None:
    try:
        said: Any = json.loads(body)
    except (RecursionError, ValueError):
        return None
    if not isinstance(said, dict) or not isinstance(name := said.get("name"), str):
        return None
    arguments = said.get("arguments", {})
    if not isinstance(arguments, str):  # some write JSON within JSON
        arguments = json.dumps(arguments, ensure_ascii=False)
    return Call(number, name, arguments)
