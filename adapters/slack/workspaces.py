"""The workspaces that have the app: the one whose token is set, and those that have installed it themselves.

What other processes do with installations is known here at the next look, which each event and each answer takes.
"""

from collections import OrderedDict
from collections.abc import Callable

from adapters.slack.events import Account
from adapters.slack.installations import Installations
from adapters.slack.workspace import Workspace

_REMEMBERED = 1000

Make = Callable[[str, Account], Workspace]
"""A workspace, by the bot's token and account there."""


class Workspaces:
    """`own` is the one whose token is set. Without `installations` there is no other, whatever it is asked for."""

    def __init__(self, own: Workspace | None, installations: Installations | None, make: Make) -> None:
        self._own = own
        self._installations = installations
        self._make = make
        self._known: OrderedDict[str, Workspace] = OrderedDict()

    async def of(self, team: str) -> Workspace | None:
        """The one with that id; without an id our own. Raises `StoreUnavailable`."""
        own = self._own
        if self._installations is None or not team or (own is not None and own.me.team == team):
            return own
        installed = await self._installations.of(team)
        known = self._known.pop(team, None)
        if installed is None:
            return None
        if known is None or known.token != installed.token:
            known = self._make(installed.token, installed.account)
        self._known[team] = known
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)
        return known

    async def teams(self) -> list[str]:
        """All of them. Raises `StoreUnavailable`."""
        own = [] if self._own is None else [self._own.me.team]
        return own if self._installations is None else [*own, *await self._installations.teams()]

    async def ended(self, team: str, at: float) -> None:
        """A workspace has taken the app away, by Slack's clock `at`. Raises `StoreUnavailable`."""
        if self._installations is not None:
            await self._installations.end(team, before=at)
