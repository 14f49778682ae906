"""The terminal's own words, and the language in which it says them. Knows no screen and no store."""

from collections.abc import Awaitable, Callable
from contextlib import suppress

from core.errors import StoreUnavailable
from core.languages import msgid, translated

GREETING = msgid("{name}. /help tells more, Ctrl-C stops an answer, Ctrl-D leaves.")
NOTHING_TO_STOP = msgid("Nothing is being written.")
HOW_TO_LEAVE = msgid("Ctrl-D or /quit leaves.")
NO_ANSWER = msgid("No answer came. Is a worker running?")
LACKS = msgid("A terminal has no buttons and takes no files: `/retry` answers anew, and Ctrl-C stops an answer.")
ANEW = msgid("(The answer begins anew.)")

Language = Callable[[], Awaitable[str]]
"""The language that somebody has set for the terminal; empty: nobody has. Raises `StoreUnavailable`."""


async def unset() -> str:
    """Nobody has set one."""
    return ""


class Tongue:
    """Speaks the language that is set, or else that of `locale`."""

    def __init__(self, locale: str, language: Language) -> None:
        self._locale = self._spoken = locale
        self._language = language

    def __call__(self, sentence: str) -> str:
        """A marked sentence, its placeholders not filled."""
        return translated(sentence, self._spoken)

    async def look(self) -> None:
        """Somebody may have set another one. Where that cannot be known, it stays."""
        with suppress(StoreUnavailable):
            self._spoken = await self._language() or self._locale
