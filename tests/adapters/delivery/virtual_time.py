"""An event loop whose clock jumps to the next thing to come whenever everybody waits: minutes pass in no time.

For code whose only clock is the loop's and that does no real input or output.
"""

import asyncio
import functools
import selectors
from collections.abc import Awaitable, Callable, Sequence
from typing import Any, ParamSpec

_P = ParamSpec("_P")


class NothingToCome(RuntimeError):
    """Everybody waits, and for nothing: a deadlock."""


class _Selector(selectors.DefaultSelector):
    now = 1000.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready: Sequence[tuple[selectors.SelectorKey, int]] = super().select(0)
        if not ready:
            if timeout is None:
                raise NothingToCome
            self.now += max(timeout, 0.0)
        return list(ready)


class _Loop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _Selector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def in_virtual_time(test: Callable[_P, Awaitable[None]]) -> Callable[_P, None]:
    """Run an async test on such a loop."""

    @functools.wraps(test)
    def run(*args: _P.args, **kwargs: _P.kwargs) -> None:
        async def main() -> Any:
            await test(*args, **kwargs)

        with asyncio.Runner(debug=True, loop_factory=_Loop) as runner:
            runner.run(main())

    return run


def now() -> float:
    """The loop's time."""
    return asyncio.get_running_loop().time()
