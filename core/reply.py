"""The reply that a worker writes and an adapter shows: newest text wins, each change of the room is recorded."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import suppress

from core.store.claim import Claim
from core.store.claims import Claims
from core.store.control import Control as ControlStream
from core.store.control import ControlEntry
from core.turns import Control, Draft, Part, key_of

# A platform call must end this long before the lease does, so that its cancellation has time to happen.
_MARGIN = 1.0
_NOTICE_CALL = 8.0


class LeasedReply:
    """`core.turns.Reply` for a conversation that this process has claimed.

    `replaces` are the messages that are to show it, and `stop` ends the writing. `write` and `finish` are the
    worker's side. They never wait: a slow platform does not hold the model. `close` is for whoever is about to
    give the conversation away.
    """

    def __init__(
        self, claims: Claims, claim: Claim, replaces: Sequence[str] = (), stop: Callable[[], None] = lambda: None
    ) -> None:
        self.replaces = replaces
        self.stop = stop
        self._claims = claims
        self._claim = claim
        self._draft = Draft("")
        self._news = asyncio.Event()
        self._before = self.shown_text
        self._closed = False
        self._certain = asyncio.Event()  # every message that may stand in the room is known by its id
        self._look()

    @property
    def parts(self) -> Sequence[Part]:
        return self._claim.parts

    @property
    def shown_text(self) -> str:
        """What the room was last asked to show."""
        return "".join(part.text for part in self._claim.parts)

    @property
    def standing_text(self) -> str:
        """What the room shows if it has refused the last that it was asked to show."""
        return self._before

    def write(self, text: str, controls: tuple[Control, ...] = ()) -> None:
        """The text so far, with what can be pressed under it."""
        self._draft = Draft(text, controls=controls)
        self._news.set()

    def wait(self, text: str, controls: tuple[Control, ...] = ()) -> None:
        """What the reply waits for."""
        self._draft = Draft(text, controls=controls, pending=True)
        self._news.set()

    def finish(self, text: str, controls: tuple[Control, ...] = (), *, private: bool = False) -> None:
        """The whole text, which is on disk; `private` if it is for one person alone."""
        self._draft = Draft(text, final=True, controls=controls, private=private)
        self._news.set()

    async def close(self, within: float) -> None:
        """Let no change of the room begin any more, and wait, for at most `within` seconds, until no message is on
        its way there: one whose sending is cut off may have to be sent twice."""
        self._closed = True
        with suppress(TimeoutError):
            async with asyncio.timeout(within):
                await self._certain.wait()

    async def __aiter__(self) -> AsyncIterator[Draft]:
        draft = Draft("")
        while not draft.final:
            await self._news.wait()
            self._news.clear()
            draft = self._draft
            yield draft

    def key(self, part: int) -> str:
        return key_of(self._claim.conversation, self._claim.event.id, part)

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:
        if self._closed:
            await asyncio.Event().wait()  # who closed it ends the delivery now
        if part == len(self.parts) or self.parts[part].text != text:  # asking again is nothing new
            self._before = self.shown_text
        if part == len(self.parts):
            self._certain.clear()
        await self._claims.showing(self._claim, part, text, end, final=final)
        return self._claim.deadline - _MARGIN

    async def shown(self, part: int, message: str) -> None:
        await self._claims.shown(self._claim, part, message)
        self._look()

    def _look(self) -> None:
        if all(part.message is not None for part in self._claim.parts):
            self._certain.set()


class Notice:
    """`core.turns.Reply` for what is said without a conversation and a lease; `filed` is as in `Draft`.

    Nothing of it is kept: it may be said twice after a crash, which harms nobody.
    """

    parts: Sequence[Part] = ()
    replaces: Sequence[str] = ()

    def __init__(self, control: ControlStream, entry: ControlEntry, text: str, filed: str = "") -> None:
        self._control = control
        self._entry = entry
        self._text = text
        self._filed = filed

    async def __aiter__(self) -> AsyncIterator[Draft]:
        yield Draft(self._text, final=True, private=bool(self._entry.event.target), filed=self._filed)

    def key(self, part: int) -> str:
        return key_of(self._entry.event.conversation, self._entry.event.id, part)

    async def showing(self, part: int, text: str, end: int, *, final: bool = False) -> float:  # noqa: ARG002
        await self._control.showing(self._entry, part, text, final=final)
        return asyncio.get_running_loop().time() + _NOTICE_CALL

    async def shown(self, part: int, message: str) -> None:
        """Nothing to record."""

    def stop(self) -> None:
        """It is whole."""
