"""An engine whose replies were chosen: several are drawn of one prompt, and the most human one is given.

Nobody sees a reply before all candidates are whole; the candidates share what was read of the prompt. Whoever asks
for several candidates, or for log-probabilities, gets what the engine makes; and so does what nobody waits for.
"""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from core.engine.around import Around, AroundCompletion
from core.engine.engine import NOBODY, Caller, Completion, Delta, Engine, Message, Params, Usage


class Scores(Protocol):
    """`core.engine.judge.Judge`."""

    async def scores(self, messages: Sequence[Message], replies: Sequence[str]) -> list[float]: ...

    def close(self) -> None: ...


class JudgedEngine(Around):
    """`engine` with `candidates` of each reply, of which `judge` picks one. It can do what `engine` can, but for
    tools."""

    def __init__(self, engine: Engine, judge: Scores, candidates: int) -> None:
        super().__init__(engine)
        self.tools = False  # each candidate would call its own
        self._judge = judge
        self._candidates = candidates

    @asynccontextmanager
    async def generate(
        self, messages: Sequence[Message], params: Params, caller: Caller = NOBODY
    ) -> AsyncIterator[Completion]:
        """See `Engine.generate`."""
        plain = any(message.role == "plain" for message in messages)
        judged = params.candidates == 1 and params.logprobs is None and caller.waits and not plain
        asked = replace(params, candidates=self._candidates) if judged else params
        async with self._inner.generate(messages, asked, caller) as completion:
            if judged:
                yield _Chosen(completion, self._judge, messages, self._candidates)
            else:
                yield completion

    async def run(self) -> None:
        try:
            await super().run()
        finally:
            self._judge.close()


@dataclass(slots=True)
class _Candidate:
    deltas: list[Delta] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(delta.text for delta in self.deltas)


class _Chosen(AroundCompletion):
    """The completion of one delta, when all candidates are whole."""

    def __init__(self, inner: Completion, judge: Scores, messages: Sequence[Message], candidates: int) -> None:
        super().__init__(inner)
        self._judge = judge
        self._messages = messages
        self._candidates = [_Candidate() for _ in range(candidates)]
        self._is_over = False

    def __aiter__(self) -> "_Chosen":
        return self

    async def __anext__(self) -> Delta:
        if self._is_over:
            raise StopAsyncIteration
        async for delta in self._inner:
            self._candidates[delta.candidate].deltas.append(delta)
        scores = await self._judge.scores(self._messages, [candidate.text for candidate in self._candidates])
        self._is_over = True
        best = max(range(len(scores)), key=lambda number: scores[number])
        return self._whole(best)

    def _whole(self, number: int) -> Delta:
        deltas = self._candidates[number].deltas
        return Delta(
            self._candidates[number].text,
            tuple(token for delta in deltas for token in delta.token_ids),
            deltas[-1].finish,
            usage=self._usage(deltas[-1].usage),
        )

    def _usage(self, chosen: Usage | None) -> Usage | None:
        """What all of them took: the prompt was read once."""
        usages = [each.deltas[-1].usage for each in self._candidates if each.deltas]
        if chosen is None or None in usages:
            return chosen
        return replace(chosen, completion=sum(usage.completion for usage in usages if usage is not None))
