"""Who takes what comes from each workspace while the bot listens."""

import asyncio
from collections.abc import Callable
from dataclasses import replace

from adapters.gap import Gap
from adapters.slack.attendance import Attendance
from adapters.slack.commands import Commands
from adapters.slack.intake import WAITS_FOR_MISSED, Intake
from adapters.slack.missed import Missed
from adapters.slack.panes import Panes
from adapters.slack.shortcut import Shortcut
from adapters.slack.waiting import Waits
from adapters.slack.workspace import Workspace
from adapters.slack.workspaces import Workspaces
from adapters.wire import Wire
from core.turns import Inbox


class Listener:
    """That of one workspace. `run` keeps when it was there, and reads what was missed."""

    def __init__(self, workspace: Workspace, inbox: Inbox, waits: Waits, clock: Callable[[], float]) -> None:
        client, me = workspace.client, workspace.me
        self.workspace = workspace
        gap = Gap(WAITS_FOR_MISSED)
        self.attendance = Attendance(inbox, me.id, clock, gap)
        self.intake = Intake(inbox, client, me, self.attendance, gap)
        self.commands = Commands(inbox, client, me, self.intake.names)
        self.panes = Panes(client, self.intake.names)
        self.shortcut = Shortcut(inbox, client, me, self.intake.names, self.intake.threads)
        self._missed = Missed(client, self.intake, self.attendance, gap, replace(waits), clock)

    async def run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self.attendance.keep(), name="attendance")
            group.create_task(self._missed.read(), name="missed")


class Listeners:
    """Those of all workspaces; `group` is the parent of what they do. `wire` is told whether events can come."""

    def __init__(
        self,
        workspaces: Workspaces,
        inbox: Inbox,
        group: asyncio.TaskGroup,
        wire: Wire,
        waits: Waits,
        clock: Callable[[], float],
    ) -> None:
        self._workspaces = workspaces
        self._inbox = inbox
        self._group = group
        self._wire = wire
        self._waits = waits
        self._clock = clock
        self._connections = 0
        self._running: dict[str, tuple[Listener, asyncio.Task[None]]] = {}

    async def begin(self) -> None:
        """Have one for each workspace that has the app. Raises `StoreUnavailable`."""
        for team in await self._workspaces.teams():
            await self.of(team)

    async def of(self, team: str) -> Listener | None:
        """The workspace's, if it has the app. Raises `StoreUnavailable`."""
        if (workspace := await self._workspaces.of(team)) is None:
            self._stop(team)
            return None
        team = workspace.me.team  # a channel may be shared with another one
        running = self._running.get(team)
        if running is not None and running[0].workspace.token == workspace.token:
            return running[0]
        self._stop(team)
        listener = Listener(workspace, self._inbox, self._waits, self._clock)
        for _ in range(self._connections):
            listener.attendance.arrive()
        self._running[team] = listener, self._group.create_task(listener.run(), name="workspace")
        return listener

    async def ended(self, team: str, at: float) -> None:
        """A workspace has taken the app away, by Slack's clock `at`. Raises `StoreUnavailable`."""
        await self._workspaces.ended(team, at)
        await self.of(team)

    def arrive(self) -> None:
        """Events come now, over one connection more."""
        self._connections += 1
        self._wire.connected = True
        for listener, _ in self._running.values():
            listener.attendance.arrive()

    def leave(self) -> None:
        """One connection less. While there is none we are away."""
        self._connections -= 1
        self._wire.connected = self._connections > 0
        for listener, _ in self._running.values():
            listener.attendance.leave()

    def _stop(self, team: str) -> None:
        if (running := self._running.pop(team, None)) is not None:
            running[1].cancel()
