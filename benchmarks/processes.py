"""The processes of one measurement: a platform with its people, and bots. Linux: processor time is in /proc."""

import asyncio
import os
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import msgspec

from benchmarks.bot import Spec
from benchmarks.people import Account, Heard, Talk

_SECONDS = 60.0
_TICKS = os.sysconf("SC_CLK_TCK")


class Platform:
    """A platform with its people. Made by `platform`."""

    def __init__(self, process: Process, account: Account) -> None:
        self.account = account
        self._process = process

    async def talk(self, talk: Talk) -> Heard:
        """Raises `RuntimeError` when an answer does not come."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(talk) + b"\n")
        return msgspec.json.decode(await _line(self._process), type=Heard)


@asynccontextmanager
async def platform(name: str) -> AsyncIterator[Platform]:
    """A platform, open while the block lasts."""
    async with _running("benchmarks.people", name) as process:
        yield Platform(process, msgspec.json.decode(await _line(process), type=Account))


@asynccontextmanager
async def bare(account: Account) -> AsyncIterator[Process]:
    """The bare bot of the account's platform."""
    module = f"benchmarks.bare.{account.platform}"
    async with _running(module, msgspec.json.encode(account).decode(), end=signal.SIGKILL) as process:
        yield process


@asynccontextmanager
async def ours(spec: Spec) -> AsyncIterator[Process]:
    """Our bot, when it does what it is for."""
    async with _running("benchmarks.bot", msgspec.json.encode(spec).decode()) as process:
        await _line(process)
        yield process


def cpu_seconds(process: Process) -> float:
    """The processor time that a running process has taken, all of its threads together."""
    # The second field, the program's name, may hold anything but ends with the last bracket.
    fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


async def _line(process: Process) -> bytes:
    assert process.stdout is not None
    async with asyncio.timeout(_SECONDS + 30.0):
        line = await process.stdout.readline()
    if not line:
        raise RuntimeError(f"a process ended with {await process.wait()}; what it said is above")
    return line


@asynccontextmanager
async def _running(module: str, argument: str, *, end: signal.Signals = signal.SIGINT) -> AsyncIterator[Process]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module, argument), stdin=PIPE, stdout=PIPE, limit=1 << 24
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.send_signal(end)
            try:
                async with asyncio.timeout(10.0):
                    await process.wait()
            except TimeoutError:
                process.kill()
                await process.wait()
