"""Lines from a file descriptor that is no terminal, without a thread that could be left hanging in a read."""

import asyncio
import codecs
import os
import select
import stat
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from core.errors import CoreError

MAX_LINE = 1 << 20
"""The most bytes that a line may have."""

_CHUNK = 1 << 16


class LineTooLong(CoreError):
    """A line of the input is longer than `MAX_LINE`."""


async def lines(fd: int) -> AsyncIterator[str]:
    """The lines of `fd` to its end, each without its line break. Raises `LineTooLong`."""
    decoder = codecs.getincrementaldecoder("utf-8-sig")(errors="replace")
    rest = ""
    async with _chunks(fd) as chunks:
        async for chunk in chunks:
            *whole, rest = (rest + decoder.decode(chunk)).split("\n")
            for line in whole:
                yield line.removesuffix("\r")
            if len(rest) > MAX_LINE:
                raise LineTooLong(f"a line of the input has more than {MAX_LINE} characters")
    if rest := rest + decoder.decode(b"", final=True):
        yield rest


@asynccontextmanager
async def _chunks(fd: int) -> AsyncIterator[AsyncIterator[bytes]]:
    mode = os.fstat(fd).st_mode
    if not (stat.S_ISFIFO(mode) or stat.S_ISSOCK(mode) or os.isatty(fd)):
        yield _read(fd)  # a file never makes us wait, and cannot be waited for
        return
    loop, readable = asyncio.get_running_loop(), asyncio.Event()
    loop.add_reader(fd, readable.set)
    try:
        yield _read(fd, readable)
    finally:
        loop.remove_reader(fd)


async def _read(fd: int, readable: asyncio.Event | None = None) -> AsyncIterator[bytes]:
    while True:
        if readable is not None:
            await readable.wait()
            readable.clear()
            if not select.select([fd], [], [], 0)[0]:
                continue  # the loop told it twice of the same bytes, and a read would hold up everything
        if not (chunk := os.read(fd, _CHUNK)):
            return
        yield chunk
