"""An engine around another one, which it is like in all that it does not do itself."""

from collections.abc import Sequence

from core.engine.engine import Engine, Load, Message


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
