"""An engine around another one, and a completion: each is like its inner one in all that it does not do itself."""

from collections.abc import Sequence

from core.engine.engine import Completion, Engine, Load, Message


class Around:
    """What every engine around `inner` has. `generate` is its own."""

    def __init__(self, inner: Engine) -> None:
        self._inner = inner
        self.name = inner.name
        self.context = inner.context
        self.fingerprint = inner.fingerprint
        self.continues = inner.continues
        self.sees = inner.sees
        self.tools = inner.tools

    @property
    def load(self) -> Load:
        return self._inner.load

    def count(self, messages: Sequence[Message]) -> int:
        return self._inner.count(messages)

    async def run(self) -> None:
        await self._inner.run()


class AroundCompletion:
    """What every completion around `inner` has. Its deltas are its own."""

    def __init__(self, inner: Completion) -> None:
        self._inner = inner

    @property
    def place_in_line(self) -> int:
        return self._inner.place_in_line

    @property
    def estimate(self) -> float | None:
        return self._inner.estimate

    def spell(self, token_id: int) -> bytes:
        return self._inner.spell(token_id)
