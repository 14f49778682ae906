"""The parent of an embedded server: starts it, and ends it when its last user is gone, even by kill -9.

A program of its own, run by path in an isolated interpreter: it imports nothing of ours. It holds the data folder
as its working directory. Users hold a shared lock on `users.lock`; the kernel drops it however they end, and then
the exclusive lock that is waited for here is granted. It is held until the server has ended, so that who comes
meanwhile waits and then starts a new one. If this program itself is killed, the server ends with it (on Linux).

    python -I -S keeper.py <descriptor of the locked life.lock> <server> <argument>...
"""

import ctypes
import fcntl
import os
import signal
import subprocess
import sys
from types import FrameType
from typing import NoReturn

_PR_SET_PDEATHSIG = 1
_STOP_SECONDS = 30.0


class _ServerEnded(Exception):
    pass


def _server_ended(_number: int, _frame: FrameType | None) -> NoReturn:
    raise _ServerEnded


def _end_with_parent() -> None:
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)


def _detach() -> None:
    """Become nobody's child, so that whoever started us need not wait for us."""
    if os.fork():
        os._exit(0)
    os.setsid()


def main(life: int, command: list[str]) -> None:
    _detach()
    users = os.open("users.lock", os.O_RDWR | os.O_CREAT, 0o600)
    try:
        signal.signal(signal.SIGCHLD, _server_ended)
        # The lock on life.lock is held as long as any copy of its descriptor is open: from here, by the server.
        server = subprocess.Popen(  # noqa: S603 - our own arguments
            command,
            stdin=subprocess.DEVNULL,
            pass_fds=(life,),
            preexec_fn=_end_with_parent,  # noqa: PLW1509 - there are no threads here
        )
        os.close(life)
        fcntl.flock(users, fcntl.LOCK_EX)
    except _ServerEnded:
        return
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    server.terminate()
    try:
        server.wait(_STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
