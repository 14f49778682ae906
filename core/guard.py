"""The way in for those who may: it lets events through to the inbox, holds them to the limits of people and
places, and puts them into the conversation whose memory they share.

Who is not let in is not answered, but for a command, which is told so: its platform waits for an answer. Who has
used up a limit is told when that ends, once.
"""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar, get_args

from core.access import Access
from core.scope import Scope, scoped
from core.store.allowances import Allowances, Limits
from core.store.links import LINK, Links, with_bot
from core.store.places import QUIET, SCOPE
from core.store.store import Store
from core.turns import AroundInbox, Conversation, Event

_LIMITED = {"message", "edit", "act"}
_SILENT = {"message", "edit", "act", "vote"}

_SCOPES: dict[str, Scope] = {scope: scope for scope in get_args(Scope)}

_KNOWN_SECONDS = 5.0  # another process may have set it meanwhile
_KNOWN = 10_000  # places, and people

T = TypeVar("T")


@dataclass(frozen=True, slots=True, kw_only=True)
class GuardSettings:
    """`person` and `place` are the limits of each. `scope` is for places where nothing else is set."""

    access: Access = field(default_factory=Access)
    person: Limits = field(default_factory=Limits)
    place: Limits = field(default_factory=Limits)
    scope: Scope = "thread"


class Guard(AroundInbox):
    """`core.turns.Inbox` for those who may. `use` exchanges the settings while others go on."""

    def __init__(self, store: Store, settings: GuardSettings) -> None:
        super().__init__(store.inbox)
        self._store = store
        self._allowances = Allowances(store.client)
        self._settings = settings
        self._places: _Known[dict[str, str]] = _Known(lambda name: store.places.of(Conversation(name)))
        self._links: _Known[str] = _Known(Links(store.client).of)

    def use(self, settings: GuardSettings) -> None:
        self._settings = settings

    async def accept(self, event: Event) -> bool:
        access = self._settings.access
        # Of a message that is deleted the platform may not say whose it was, and to forget it harms nobody.
        if event.kind != "delete" and not access.admits(event):
            if event.kind in _SILENT and not event.alone:
                return False
            return await self._inbox.accept(_refused(event, ""))
        event = await self._in_its_conversation(event)
        if access.is_admin(event):
            event = replace(event, manages=True)
        elif (seconds := await self._seconds_to_wait(event)) is not None:
            return bool(seconds) and await self._inbox.accept(_refused(event, str(seconds)))
        taken = await self._inbox.accept(event)
        if taken and event.kind in _LIMITED:
            await self._use(event, turns=1)
        return taken

    async def charge(self, event: Event, tokens: int) -> None:
        """Count the tokens of the answer to `event`, and of what it answers. Raises `StoreUnavailable`."""
        await self._use(event, tokens=tokens)

    async def _use(self, event: Event, *, turns: int = 0, tokens: int = 0) -> None:
        if not self._settings.access.is_admin(event):
            for name, limits in self._limits(event):
                await self._allowances.use(name, limits, turns=turns, tokens=tokens)

    async def _seconds_to_wait(self, event: Event) -> int | None:
        """How long; 0 where that was said before, `None` where there is no need to."""
        if event.kind not in _LIMITED:
            return None
        for name, limits in self._limits(event):
            wait = await self._allowances.wait(name, limits)
            if wait.seconds:
                return wait.seconds if wait.first or event.alone or event.target else 0
        return None

    def _limits(self, event: Event) -> tuple[tuple[str, Limits], ...]:
        person = f"person/{event.room.platform}/{event.speaker.id}"
        place = f"place/{event.said_in.place}"
        return (person, self._settings.person), (place, self._settings.place)

    async def _in_its_conversation(self, event: Event) -> Event:
        name, place = event.text.partition(" ")[0], event.conversation.place
        # Of some things that happen in a private place nobody says who did them.
        whose = with_bot(event.conversation.account, event.speaker.id) if event.speaker.id else place
        if (event.kind, name) == ("setting", SCOPE):
            self._places.let_go(place)
            return event
        if (event.kind, name) == ("command", LINK):
            self._links.let_go(whose)
            return event
        link = await self._links.of(whose)
        if not (event.shared or link):
            return event
        settings = await self._places.of(place)
        scope = _SCOPES.get(settings.get(SCOPE, ""))
        if event.shared:
            follows = event.kind != "setting" and (event.called or settings.get(QUIET) != "on")
        else:
            follows = scope in {None, "person"}
        return scoped(event, scope or self._settings.scope, link if follows else "")


class _Known(Generic[T]):
    """What `ask` says of a name, for as long as that may be believed."""

    def __init__(self, ask: Callable[[str], Awaitable[T]]) -> None:
        self._ask = ask
        self._known: OrderedDict[str, tuple[T, float]] = OrderedDict()

    async def of(self, name: str) -> T:
        """Raises whatever `ask` does."""
        now = asyncio.get_running_loop().time()
        if (known := self._known.get(name)) and known[1] > now:
            return known[0]
        found = await self._ask(name)
        self._known[name] = found, now + _KNOWN_SECONDS
        self._known.move_to_end(name)
        if len(self._known) > _KNOWN:
            self._known.popitem(last=False)
        return found

    def let_go(self, name: str) -> None:
        """Ask again the next time."""
        self._known.pop(name, None)


def _refused(event: Event, text: str) -> Event:
    return replace(event, kind="refused", text=text, quotes=(), attachments=(), files=())
