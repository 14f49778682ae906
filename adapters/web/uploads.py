"""What people drop on the page, on disk until its message is answered. Knows no socket and no HTTP.

A file lies under its owner and an id that the browser made; what it is called is never part of a path. Nothing of
it is executed or unpacked here. What nobody sends, or nobody answers, goes after a day. Where several machines
answer, they need the folder in common: without it a file is one that cannot be fetched.
"""

import asyncio
import os
import re
import shutil
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import IO

from adapters.web.frames import CLIENT_ID, File
from core.errors import NotFetched
from core.turns import Attachment

_HELD_SECONDS = 24 * 3600
_LOOK_SECONDS = 3600.0
_MOST_HELD = 50  # times the largest file: so much of the disk is used at most
_CHUNK = 65536

_OWNER = re.compile(r"[a-z0-9-]{1,64}")
_FILE = re.compile(CLIENT_ID)
_KINDS = {"image", "audio", "video"}


class NoRoom(Exception):
    """Too many files wait already, or the disk takes no more."""


class Uploads:
    """Files in `folder`. The largest has `max_bytes`, which whoever hands in the bytes sees to."""

    def __init__(self, folder: Path, max_bytes: int) -> None:
        self._folder = folder
        self._max_bytes = max_bytes
        self._coming = 0

    async def keep(self, owner: str, name: str, chunks: AsyncIterator[bytes]) -> None:
        """Write a file while it comes. It is whole when this returns, and not there if this raises `NoRoom`,
        `NotFetched` (that is no name for a file), or whatever `chunks` raises."""
        path = self._path(owner, name)
        part = path.with_suffix(".part")
        self._coming += 1
        try:
            await asyncio.to_thread(self._make_room, path.parent)
            try:
                await self._write(part, chunks)
                await asyncio.to_thread(part.rename, path)
            finally:
                await asyncio.to_thread(part.unlink, missing_ok=True)
        except OSError as exc:
            raise NoRoom(exc.strerror or type(exc).__name__) from exc
        finally:
            self._coming -= 1

    async def clear(self) -> None:
        """For ever: let go what is a day old."""
        while True:
            with suppress(OSError):  # the next look may find it
                await asyncio.to_thread(self._let_go)
            await asyncio.sleep(_LOOK_SECONDS)

    async def attachment(self, owner: str, file: File) -> Attachment | None:
        """What to send with a message; `None` where there is no such file of that owner's."""
        try:
            size = (await asyncio.to_thread(self._path(owner, file.id).stat)).st_size
        except (OSError, NotFetched):
            return None
        kind = file.type.partition("/")[0]
        return Attachment(
            kind=kind if kind in _KINDS else "file",
            name=file.name,
            size=size,
            type=file.type,
            address={"owner": owner, "file": file.id},
        )

    @asynccontextmanager
    async def read(self, attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of one. Raises `NotFetched`, also while they come."""
        try:
            with await asyncio.to_thread(self._path(**self._address(attachment)).open, "rb") as file:
                yield _chunks(file)
        except OSError as exc:
            raise NotFetched(f"what was uploaded is not here: {exc.strerror}") from exc

    async def discard(self, attachments: Sequence[Attachment]) -> None:
        """Let these go. One that cannot be deleted now goes after a day."""
        for attachment in attachments:
            with suppress(OSError, NotFetched):
                await asyncio.to_thread(self._path(**self._address(attachment)).unlink, missing_ok=True)

    def _address(self, attachment: Attachment) -> dict[str, str]:
        address = attachment.address
        return {"owner": address.get("owner", ""), "name": address.get("file", "")}

    def _path(self, owner: str, name: str) -> Path:
        if not _OWNER.fullmatch(owner) or not _FILE.match(name):
            raise NotFetched("that is no file of ours")
        return self._folder / owner / name

    async def _write(self, part: Path, chunks: AsyncIterator[bytes]) -> None:
        with await asyncio.to_thread(_created, part) as file:
            async for chunk in chunks:
                await asyncio.to_thread(file.write, chunk)

    def _make_room(self, folder: Path) -> None:
        """For one that is `_coming`. Raises `NoRoom` and `OSError`."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        # Whatever is coming may become as large as it may.
        held = self._let_go() + self._max_bytes * self._coming
        if held > self._max_bytes * _MOST_HELD or shutil.disk_usage(folder).free < 2 * self._max_bytes:
            raise NoRoom("too much waits")

    def _let_go(self) -> int:
        """Delete what is too old. How many bytes are left."""
        oldest, held = time.time() - _HELD_SECONDS, 0
        for path in self._folder.glob("*/*"):
            with suppress(OSError):  # somebody else was faster
                found = path.stat()
                if found.st_mtime < oldest:
                    path.unlink()
                else:
                    held += found.st_size
        return held


def _created(path: Path) -> IO[bytes]:
    """A new file that only we read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


async def _chunks(file: IO[bytes]) -> AsyncIterator[bytes]:
    while chunk := await asyncio.to_thread(file.read, _CHUNK):
        yield chunk
