"""The processes of one measurement: a platform with its people, and bots. Linux has a clock of each one."""

import asyncio
import signal
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager

import msgspec

from benchmarks.bot import Spec
from benchmarks.people import Account, Heard, One, Talk

_SECONDS = 60.0


class Platform:
    """A platform with its people. Made by `platform`."""

    def __init__(self, process: Process, account: Account) -> None:
        self.account = account
        self._process = process

    async def talk(self, talk: Talk, told: Callable[[float], None] = lambda _seconds: None) -> Heard:
        """`told` hears of each answer, if the talk asks for that. Raises `RuntimeError` when one does not come."""
        assert self._process.stdin is not None
        self._process.stdin.write(msgspec.json.encode(talk) + b"\n")
        while True:
            heard: One | Heard = msgspec.json.decode(await _line(self._process), type=One | Heard)
            if isinstance(heard, Heard):
                return heard
            told(heard.seconds)


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
    return time.clock_gettime(~process.pid << 3 | 2)  # what clock_getcpuclockid(3) makes of it


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
