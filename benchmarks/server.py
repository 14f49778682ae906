"""What a Redis server has done so far, by its own count and the kernel's."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from core.store.client import StoreSettings
from core.store.store import Store, open_store

_SENT = ("evalsha", "eval", "xreadgroup", "waitaof", "wait", "get", "set")


@dataclass(frozen=True, slots=True)
class Counted:
    """`calls` that clients sent, `reads` from their connections, `cpu` seconds of the server, and `syncs` of its
    append-only file: with `appendfsync always` one for each time that something was written to it. `syncs` is 0
    where the kernel does not count."""

    calls: int
    reads: int
    cpu: float
    syncs: int

    @classmethod
    async def of(cls, store: Store) -> Self:
        def ask(section: str) -> Any:
            return store.client.read(lambda redis: redis.info(section))

        commands, stats, cpu, server = [
            await ask(section) for section in ("commandstats", "stats", "cpu", "server")
        ]
        calls = sum(commands.get(f"cmdstat_{name}", {"calls": 0})["calls"] for name in _SENT)
        written = _writes(server["process_id"]) - stats["total_writes_processed"]
        used = cpu["used_cpu_user"] + cpu["used_cpu_sys"]
        return cls(calls, stats["total_reads_processed"], used, max(0, written))

    def __sub__(self, before: "Counted") -> "Counted":
        return Counted(
            self.calls - before.calls,
            self.reads - before.reads,
            self.cpu - before.cpu,
            self.syncs - before.syncs,
        )


class Server:
    """A server that somebody else keeps. It is spoken to only while it is counted."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings

    async def counted(self) -> Counted:
        async with open_store(self._settings) as store:
            return await Counted.of(store)


def _writes(process: int) -> int:
    """How often a process of ours has written anything: answers to connections, and files."""
    counts = Path(f"/proc/{process}/io")
    if not counts.exists():
        return 0
    return int(dict(line.split(": ", 1) for line in counts.read_text().splitlines())["syscw"])
