"""Real servers for tests: started on a unix socket, and killed on purpose."""

import shutil
import socket
import subprocess
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from core.store.embedded import server_program

_START_SECONDS = 20.0


class RedisServer:
    """One server process with an append-only file in a folder of its own."""

    def __init__(self, *, fsync: str = "always", appendonly: str = "yes", options: tuple[str, ...] = ()) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tlg-redis-"))
        self._command = [
            *(server_program(), "--port", "0", "--unixsocket", "redis.sock", "--save", ""),
            *("--appendonly", appendonly, "--appendfsync", fsync, "--maxmemory-policy", "noeviction"),
            *options,
        ]
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"unix://{self.folder}/redis.sock"

    def __enter__(self) -> Self:
        self.ensure()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        shutil.rmtree(self.folder)

    def ensure(self) -> None:
        """Start it if it does not run, and wait until it accepts connections."""
        if self._process is not None and self._process.poll() is None:
            return
        with (self.folder / "server.log").open("wb") as log:
            self._process = subprocess.Popen(self._command, cwd=self.folder, stdout=log, stderr=log)
        patience = time.monotonic() + _START_SECONDS
        while not self._accepts():
            assert self._process.poll() is None, (self.folder / "server.log").read_text()
            assert time.monotonic() < patience, "the server does not start"
            time.sleep(0.005)

    def kill(self) -> None:
        """As `kill -9` does."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()

    def _accepts(self) -> bool:
        with socket.socket(socket.AF_UNIX) as probe:
            return probe.connect_ex(f"{self.folder}/redis.sock") == 0
