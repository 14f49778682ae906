"""The processes of one installation: started, killed with SIGKILL, and started again. Knows no bot and no plan."""

import asyncio
import shutil
import signal
import tempfile
import time
from asyncio.subprocess import DEVNULL, STDOUT, Process
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from core.store.embedded import server_program

_ACCEPTS_WITHIN = 30.0
_ENDS_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Program:
    """How a process is started. Its environment has nothing of ours but `settings`."""

    arguments: Sequence[str]
    settings: Mapping[str, str] = field(default_factory=dict)


Start = Callable[[str], Program]
"""The program for a name that no process had before."""


@dataclass(frozen=True, slots=True)
class Death:
    """A process was killed, or had ended by itself; times are those of the monotonic clock."""

    name: str
    at: float
    back: float


class Running:
    """Processes by name, and the log of those that were killed.

    Each start of `name` is called "name.1", "name.2" and so on. What they print goes to files in `folder`.
    """

    def __init__(self, programs: Mapping[str, Start], folder: Path, environment: Mapping[str, str]) -> None:
        self.deaths: list[Death] = []
        self.fallen: list[str] = []  # those that ended without being killed
        self._programs = programs
        self._folder = folder
        self._environment = environment
        self._processes: dict[str, Process] = {}
        self._starts: dict[str, int] = dict.fromkeys(programs, 0)

    async def start(self, name: str) -> None:
        self._starts[name] += 1
        called = self.called(name)
        program = self._programs[name](called)
        with (self._folder / f"{called}.log").open("wb") as log:
            self._processes[name] = await asyncio.create_subprocess_exec(
                *program.arguments,
                cwd=self._folder,
                env={**self._environment, **program.settings},
                stdin=DEVNULL,
                stdout=log,
                stderr=STDOUT,
            )

    async def kill(self, name: str, down: float) -> None:
        """As `kill -9` does; start it again `down` seconds later."""
        process, called = self._processes[name], self.called(name)
        if process.returncode is not None:
            self.fallen.append(called)
        else:
            process.kill()
        killed = time.monotonic()
        await process.wait()
        await asyncio.sleep(down)
        await self.start(name)
        self.deaths.append(Death(called, killed, time.monotonic()))

    async def revive(self) -> None:
        """Start again what ended by itself."""
        for name, process in self._processes.items():
            if process.returncode is not None:
                self.fallen.append(self.called(name))
                await self.start(name)

    async def end(self) -> None:
        """Stop all, the last started first."""
        for process in reversed(self._processes.values()):
            if process.returncode is None:
                process.send_signal(signal.SIGKILL)
            await asyncio.wait_for(process.wait(), _ENDS_WITHIN)

    def called(self, name: str) -> str:
        return f"{name}.{self._starts[name]}"


class StoreFolder:
    """Where the shared server has its files and its socket. Removed at the end."""

    def __enter__(self) -> Self:
        # A socket's path is short: the system's own folder for temporary files is.
        self.folder = Path(tempfile.mkdtemp(prefix="chaos-"))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        shutil.rmtree(self.folder, ignore_errors=True)

    @property
    def socket(self) -> Path:
        return self.folder / "redis.sock"

    @property
    def url(self) -> str:
        return f"unix://{self.socket}"

    def program(self, called: str) -> Program:  # noqa: ARG002 - each start is like the one before
        options = ("--port", "0", "--unixsocket", str(self.socket), "--dir", str(self.folder), "--save", "")
        durable = ("--appendonly", "yes", "--appendfsync", "always", "--maxmemory-policy", "noeviction")
        return Program((server_program(), *options, *durable))

    async def until_it_accepts(self) -> None:
        """TimeoutError when it does not."""
        async with asyncio.timeout(_ACCEPTS_WITHIN):
            while True:
                try:
                    _, writer = await asyncio.open_unix_connection(self.socket)
                except OSError:
                    await asyncio.sleep(0.01)
                else:
                    writer.close()
                    return
