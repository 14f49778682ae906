"""Real servers for tests: one, a pair under Sentinel, or a cluster. Started on loopback, and killed on purpose."""

import secrets
import shutil
import signal
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from redis import Redis
from redis.crc import key_slot
from redis.exceptions import ConnectionError as RedisConnectionError

from core.errors import StoreUnavailable
from core.store.embedded import server_program
from core.store.keys import SLOTS, Keys
from core.turns import Conversation

_START_SECONDS = 20.0
_PATIENT = 15_000  # milliseconds


class RedisServer:
    """One server process with an append-only file in a folder of its own: on a unix socket, or on a TCP `port`."""

    def __init__(
        self,
        *,
        fsync: str = "always",
        appendonly: str = "yes",
        options: tuple[str, ...] = (),
        port: int = 0,
        program: str | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tlg-redis-"))
        self.port = port
        self._command = [
            *(program or server_program(), "--port", str(port), "--bind", "127.0.0.1", "--save", ""),
            *(() if port else ("--unixsocket", "redis.sock")),
            *("--appendonly", appendonly, "--appendfsync", fsync, "--maxmemory-policy", "noeviction"),
            *("--repl-diskless-sync-delay", "0"),
            *options,
        ]
        self._environment = environment
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}" if self.port else f"unix://{self.folder}/redis.sock"

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
            self._process = subprocess.Popen(
                self._command, cwd=self.folder, stdout=log, stderr=log, env=self._environment
            )
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

    @contextmanager
    def paused(self) -> Iterator[None]:
        """While the block lasts it takes connections, and answers nothing."""
        assert self._process is not None
        self._process.send_signal(signal.SIGSTOP)
        try:
            yield
        finally:
            self._process.send_signal(signal.SIGCONT)

    def ask(self, *command: str | int) -> Any:
        """Its answer to one command, from outside of what is tested."""
        with Redis.from_url(self.url, decode_responses=True, protocol=2) as redis:
            return redis.execute_command(*command)

    def end_leases(self) -> None:
        end_leases(self.url)

    @property
    def is_loading(self) -> bool:
        with self._connected() as probe:
            probe.sendall(b"PING\r\n")
            return probe.recv(100).startswith(b"-LOADING")

    def _accepts(self) -> bool:
        try:
            self._connected().close()
        except OSError:
            return False
        return True

    def _connected(self) -> socket.socket:
        probe = socket.socket(socket.AF_INET if self.port else socket.AF_UNIX)
        try:
            probe.connect(("127.0.0.1", self.port) if self.port else f"{self.folder}/redis.sock")
        except OSError:
            probe.close()
            raise
        return probe


class Pair:
    """A master and a replica, watched by a sentinel that knows them as `main`."""

    def __init__(self, stack: ExitStack) -> None:
        self.master = stack.enter_context(RedisServer(port=free_port()))
        following = ("--replicaof", "127.0.0.1", str(self.master.port))
        self.replica = stack.enter_context(RedisServer(port=free_port(), options=following))
        until(lambda: _is_followed(self.master))
        port = free_port()
        self._sentinel = stack.enter_context(_Sentinel(port, self.master.port))
        self.url = f"redis+sentinel://127.0.0.1:{port}/main"
        until(lambda: self._replicas() == ["slave"])

    def kill_master(self) -> None:
        """Its sentinel misses it soon. Else a master that is only slow would lose its place on a busy machine."""
        self._sentinel.ask("SENTINEL", "SET", "main", "down-after-milliseconds", 300)
        self.master.kill()

    def _replicas(self) -> list[str]:
        with Redis(port=self._sentinel.port, decode_responses=True) as sentinel:
            return [str(replica["flags"]) for replica in sentinel.sentinel_slaves("main")]


class _Sentinel(RedisServer):
    def __init__(self, port: int, master: int) -> None:
        super().__init__(port=port)
        config = self.folder / "sentinel.conf"
        config.write_text(
            f"port {port}\nbind 127.0.0.1\n"
            f"sentinel monitor main 127.0.0.1 {master} 1\n"
            "sentinel down-after-milliseconds main 60000\nsentinel failover-timeout main 3000\n"
        )
        self._command = [server_program(), str(config), "--sentinel"]


class Cluster:
    """Three servers that share the slots, and a replica of the first."""

    def __init__(self, stack: ExitStack, *, fsync: str = "always") -> None:
        self.servers = [stack.enter_context(_clustered(fsync)) for _ in range(3)]
        self.replica = stack.enter_context(_clustered(fsync))
        first = self.servers[0]
        for i, server in enumerate(self.servers):
            server.ask("CLUSTER ADDSLOTSRANGE", i * SLOTS // 3, (i + 1) * SLOTS // 3 - 1)
            server.ask("CLUSTER SET-CONFIG-EPOCH", i + 1)
        for other in (*self.servers[1:], self.replica):
            other.ask("CLUSTER MEET", "127.0.0.1", first.port, _bus(first))
        until(lambda: all(self._knows(server, 4) for server in (*self.servers, self.replica)))
        self.replica.ask("CLUSTER REPLICATE", self.name(first))
        until(lambda: _is_followed(first))
        until(lambda: all(self._is_well(server) for server in self.servers))

    @property
    def url(self) -> str:
        return "redis+cluster://" + ",".join(f"127.0.0.1:{server.port}" for server in self.servers)

    def name(self, server: RedisServer) -> str:
        return str(server.ask("CLUSTER MYID"))

    def slot_of(self, conversation: Conversation) -> int:
        return int(key_slot(Keys(16).conversation("c", conversation).encode()))

    def server_of(self, conversation: Conversation) -> RedisServer:
        """The one that has the conversation's shard, while nothing is moved."""
        return self.servers[self.slot_of(conversation) * 3 // SLOTS]

    def clear(self) -> None:
        for server in self.servers:
            server.ask("FLUSHALL")

    def begin_to_move(self, slot: int, source: RedisServer, target: RedisServer) -> Iterator[str]:
        """Move a slot in the way that every version knows: key by key. Yields each key after it has gone."""
        target.ask("CLUSTER SETSLOT", slot, "IMPORTING", self.name(source))
        source.ask("CLUSTER SETSLOT", slot, "MIGRATING", self.name(target))
        while keys := source.ask("CLUSTER GETKEYSINSLOT", slot, 1):
            source.ask("MIGRATE", "127.0.0.1", target.port, keys[0], 0, 5000)
            yield keys[0]
        for server in (target, source, *self.servers):
            server.ask("CLUSTER SETSLOT", slot, "NODE", self.name(target))

    def move(self, slot: int, source: RedisServer, target: RedisServer) -> None:
        """Move a slot in one go, as newer versions can."""
        source.ask("CLUSTER MIGRATESLOTS", "SLOTSRANGE", slot, slot, "NODE", self.name(target))
        until(lambda: all(self._owner(server, slot) == target.port for server in self.servers))

    def kill_first(self) -> None:
        """Its replica takes its place soon. Else one that is only slow would lose its place on a busy machine."""
        self._miss_after(1000)
        self.servers[0].kill()

    def mend(self) -> None:
        """The first server was killed, and its replica has taken its place: now they are the other way round."""
        self.servers[0].ensure()
        self._miss_after(_PATIENT)
        self.servers[0], self.replica = self.replica, self.servers[0]
        until(lambda: _is_followed(self.servers[0]))

    def _miss_after(self, milliseconds: int) -> None:
        for server in (*self.servers, self.replica):
            server.ask("CONFIG", "SET", "cluster-node-timeout", milliseconds)

    def _owner(self, server: RedisServer, slot: int) -> int:
        """The port of the server that has a slot, as `server` sees it."""
        [port] = [int(node[1]) for first, last, node, *_ in server.ask("CLUSTER SLOTS") if first <= slot <= last]
        return port

    def _knows(self, server: RedisServer, count: int) -> bool:
        nodes = server.ask("CLUSTER NODES").values()
        return len(nodes) == count and all("handshake" not in node["flags"] for node in nodes)

    def _is_well(self, server: RedisServer) -> bool:
        return bool(server.ask("CLUSTER INFO")["cluster_state"] == "ok")


def _clustered(fsync: str) -> RedisServer:
    port, bus = free_port(), free_port()
    options = ("--cluster-enabled", "yes", "--cluster-port", str(bus), "--cluster-node-timeout", str(_PATIENT))
    partly = ("--cluster-require-full-coverage", "no")
    return RedisServer(port=port, fsync=fsync, options=(*options, *partly))


def _is_followed(server: RedisServer) -> bool:
    """Whether it has a replica that is in step."""
    replica = server.ask("INFO", "replication").get("slave0", {})
    return bool(replica.get("state") == "online")


def _bus(server: RedisServer) -> int:
    return int(server.ask("CONFIG GET", "cluster-port")["cluster-port"])


def end_leases(url: str) -> None:
    """As if all processes had been away for long: whoever comes may take over."""
    with Redis.from_url(url) as redis:
        for key in redis.keys("{trialogue.*}:c:*"):
            if redis.hexists(key, "own"):
                redis.hset(key, "until", 0)
        for stream in redis.keys("{trialogue.*}:ready:*"):
            for entry in redis.xpending_range(stream, "workers", "-", "+", 1000):
                redis.xclaim(stream, "workers", "worker", 0, [entry["message_id"]], idle=10**7, justid=True)


def free_port() -> int:
    """A port for a server that starts later, and again after it was killed.

    It lies below those that systems give to whoever asks for any. The choice is the system's own, since Hypothesis
    seeds `random` alike in every process that runs tests.
    """
    while True:
        port = 10_000 + secrets.randbelow(20_000)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def until(condition: Callable[[], bool]) -> None:
    """Return when it holds. A server that does not answer yet does not count."""
    patience = time.monotonic() + _START_SECONDS
    while True:
        try:
            if condition():
                return
        except (RedisConnectionError, StoreUnavailable):
            pass
        assert time.monotonic() < patience, "it does not come to be"
        time.sleep(0.01)
