"""What a server promises about its disk, and what must be waited for so that an answer means 'on disk'."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from redis.exceptions import (
    AskError,
    BusyLoadingError,
    ClusterDownError,
    ReadOnlyError,
    ResponseError,
    TryAgainError,
)

from core.errors import StoreUnavailable

COMMIT_MS = 2000
"""How long a commit may take to reach the disk, or a replica, before it counts as not made."""

Fsync = Literal["always", "everysec"]
"""How a server writes its append-only file: before it answers, or within a second."""

Command = tuple[str | bytes | int, ...]

_WAIT_FOR_DISK: Command = ("WAITAOF", 1, 0, COMMIT_MS)
_WAIT_FOR_REPLICA: Command = ("WAIT", 1, COMMIT_MS)

# Codes without a class in redis-py: a master that has become a replica, a replica without its master, and a master
# whose replicas are away.
_NOT_NOW = {"UNBLOCKED", "MASTERDOWN", "NOREPLICAS"}


@dataclass(frozen=True, slots=True)
class Durability:
    """`commits` are the commands to send after a script at a commit point, on the same connection: they count that
    connection's own writes. Each answers how many copies there are, and zero is too few. Without an append-only
    file nothing is `durable`, and there is nothing to wait for."""

    commits: tuple[Command, ...]
    durable: bool

    @classmethod
    def of(cls, name: str, info: Mapping[str, Any], fsync: str | None) -> "Durability":
        """What the server called `name` promises, by its INFO and `appendfsync` (`None`: it would not say).

        Raises `StoreUnavailable` for one that is too old, and redis-py's own errors for one that is not ready.
        """
        if info.get("loading"):
            raise BusyLoadingError("it is loading its data")
        if info.get("role") == "slave":
            raise ReadOnlyError("it is a replica")
        always = bool(info.get("aof_enabled")) and fsync == "always"
        version = _version(str(info.get("redis_version", "0.0")))
        if version < (6, 2) or (version < (7, 2) and not always):
            raise StoreUnavailable(
                f"{name} is version {'.'.join(map(str, version))}: 7.2 is needed, or from 6.2 on a server with "
                "'appendonly yes' and 'appendfsync always'"
            )
        commits: list[Command] = []
        durable = bool(info.get("aof_enabled"))
        if durable and not always:
            commits.append(_WAIT_FOR_DISK)
        if any(_is_in_step(value) for name, value in info.items() if name.startswith("slave")):
            commits.append(_WAIT_FOR_REPLICA)
        return cls(tuple(commits), durable)


def committed(answer: object) -> bool:
    """Whether an answer to one of `Durability.commits` says that there is a copy."""
    copies = answer[0] if isinstance(answer, list) else answer
    return isinstance(copies, int) and copies > 0


def is_refusal(error: ResponseError) -> bool:
    """Whether a server answered that it will not, in contrast to not now."""
    if isinstance(error, ReadOnlyError | ClusterDownError | TryAgainError | AskError):
        return False
    return str(error).partition(" ")[0] not in _NOT_NOW


def _is_in_step(replica: object) -> bool:
    """Whether a line of INFO describes a replica that has all our data: one that loads it answers to no WAIT."""
    return isinstance(replica, dict) and replica.get("state") == "online"


def _version(text: str) -> tuple[int, int]:
    numbers = [int(part) if part.isdigit() else 0 for part in text.split(".")]
    return (*numbers, 0, 0)[0], (*numbers, 0, 0)[1]
