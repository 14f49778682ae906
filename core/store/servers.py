"""Which server has a key, what that server promises, and a pipeline to it: one server, or a cluster of them.

On a cluster each server stands for itself: one that is gone holds up nobody but those whose keys it has. Knows no
script, and never repeats anything: `client` does.
"""

import asyncio
import logging
import math
import secrets
from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from hiredis import pack_command
from redis.asyncio import Redis, RedisCluster
from redis.asyncio.client import PubSub
from redis.asyncio.cluster import ClusterNode, PipelineCommand
from redis.asyncio.connection import AbstractConnection
from redis.exceptions import MovedError, ReadOnlyError, ResponseError

from core.store.connect import ANSWER_SECONDS, AnyRedis
from core.store.durability import COMMIT_MS, Command, Durability, committed, is_refusal
from core.store.failures import CLUSTER_ERRORS, REDIS_ERRORS, NotCommitted

log = logging.getLogger(__name__)

_PIPELINE_SECONDS = ANSWER_SECONDS + 2 * COMMIT_MS / 1000
"""How long a pipeline may take, with the waits for a disk and a replica at its end."""

_TRUSTED_SECONDS = 10.0
"""How long what a server said of itself is believed: it may be given a replica, or lose its file."""


class Servers:
    """The servers of one store. `name` says where it is, without any secret."""

    def __init__(self, redis: AnyRedis, name: str) -> None:
        self.redis = redis
        self.is_cluster = isinstance(redis, RedisCluster)
        self._name = name
        self._known: dict[str, _Server] = {}

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What redis-py may raise."""
        return CLUSTER_ERRORS if self.is_cluster else REDIS_ERRORS

    def group_of(self, key: str) -> str:
        """Keys of one group are on one server, whatever moves, and calls with them may travel together."""
        return key.partition("}")[0] if self.is_cluster else ""

    async def look(self) -> None:
        """Look whether each server is one that we can use. Raises as `send`."""
        if isinstance(self.redis, RedisCluster):
            await self.redis.initialize()
            for node in self.redis.get_primaries():
                await self._known_at(node.name, node).look()
        else:
            await self.look_again()

    async def look_again(self) -> None:
        """Look at a single server, if that is due. A cluster's are looked at when they are written to."""
        if isinstance(self.redis, Redis):
            await self._known_at("", self.redis).look()

    async def send(self, commands: Sequence[Command], key: str, *, commit: bool) -> list[Any]:
        """The answers of the server that has `key`, to one pipeline. With `commit`, all of it is on disk by then.

        An answer may be a server's refusal. What may be gone in a moment is raised, as redis-py's own errors; a
        server that is too old raises `StoreUnavailable`.
        """
        if isinstance(self.redis, Redis):
            return await self._known_at("", self.redis).send(commands, commit=commit)
        nodes = self.redis.nodes_manager
        node = nodes.get_node_from_slot(self.redis.keyslot(key))
        server = self._known_at(node.name, node)
        try:
            return await server.send(commands, commit=commit)
        except MovedError as exc:
            await nodes.move_slot(exc)
            raise
        except self.errors:
            # Only those whose keys it has wait until the others say who has them now.
            server.doubt()
            with suppress(*self.errors):
                await nodes.initialize(last_failed_node_name=node.name)
            raise

    def pubsub(self) -> PubSub:
        """A connection for channels. All servers of a cluster have all channels."""
        if isinstance(self.redis, RedisCluster):
            return self.redis.pubsub(node=secrets.choice(self.redis.get_primaries()))
        return self.redis.pubsub()

    def doubt(self) -> None:
        """Another server may answer now."""
        for server in self._known.values():
            server.doubt()

    async def failed(self, error: Exception) -> None:
        """Something failed, and will be tried again."""
        if isinstance(self.redis, Redis):
            self.doubt()
            if isinstance(error, ReadOnlyError):
                # It has become a replica. Another one may have its name: only a new connection finds it.
                await self.redis.connection_pool.disconnect(inuse_connections=False)

    def _known_at(self, name: str, redis: Redis | ClusterNode) -> "_Server":
        known = self._known.get(name)
        if known is None or known.redis is not redis:
            self._known[name] = known = _Server(redis, f"{self._name} ({name})" if name else self._name)
        return known


class _Server:
    """One server, and what it promised when it was last looked at."""

    def __init__(self, redis: Redis | ClusterNode, name: str) -> None:
        self.redis = redis
        self._name = name
        self._commits: tuple[Command, ...] = ()
        self._trusted_until = 0.0
        self._warned = False
        self._looking = asyncio.Lock()

    def doubt(self) -> None:
        self._trusted_until = 0.0

    async def look(self) -> None:
        """Ask what it promises, unless it was asked a moment ago."""
        async with self._looking:
            if asyncio.get_running_loop().time() < self._trusted_until:
                return
            promise = await self._promise()
            if not promise.durable and not self._warned:
                log.warning(
                    "NOT DURABLE: %s has no append-only file. What it has accepted is lost when it ends: "
                    "set 'appendonly yes' there",
                    self._name,
                )
            self._warned = not promise.durable
            self._commits = promise.commits
            self._trusted_until = asyncio.get_running_loop().time() + _TRUSTED_SECONDS

    async def send(self, commands: Sequence[Command], *, commit: bool) -> list[Any]:
        await self.look()
        commits = self._commits if commit else ()
        answers = await self._pipeline([*commands, *commits])
        for answer in answers:
            if isinstance(answer, Exception) and not (isinstance(answer, ResponseError) and is_refusal(answer)):
                raise answer
        if not all(committed(answer) for answer in answers[len(commands) :]):
            raise NotCommitted
        return answers[: len(commands)]

    async def _pipeline(self, commands: Sequence[Command]) -> list[Any]:
        if isinstance(self.redis, Redis):
            return await self._pipeline_to(self.redis, commands)
        # Not by the cluster's own pipeline: that waits for all nodes, and repeats a commit on another connection,
        # where it counts nothing.
        batch = [PipelineCommand(i, *command) for i, command in enumerate(commands)]
        await self.redis.execute_pipeline(batch)
        return [command.result for command in batch]

    async def _pipeline_to(self, redis: Redis, commands: Sequence[Command]) -> list[Any]:
        """As redis-py's pipeline does it, without packing each word in Python and keeping books of each call."""
        pool = redis.connection_pool
        connection = await pool.get_connection()  # type: ignore[no-untyped-call]
        try:
            packed = b"".join(map(pack_command, commands))  # type: ignore[arg-type]  # of any length
            async with asyncio.timeout(_PIPELINE_SECONDS):
                await connection.send_packed_command(packed)
                return [await _answer(redis, connection, command) for command in commands]
        except BaseException:
            await connection.disconnect(nowait=True)  # answers may still come on it
            raise
        finally:
            await pool.release(connection)

    async def _promise(self) -> Durability:
        info = await self.redis.execute_command("INFO")
        try:
            config = await self.redis.execute_command("CONFIG GET", "appendfsync")
        except ResponseError:
            config = {}
        return Durability.of(self._name, info, config.get("appendfsync"))


async def _answer(redis: Redis, connection: AbstractConnection, command: Command) -> Any:
    try:
        answer = await connection.read_response(timeout=math.inf)  # the whole pipeline has a bound
    except ResponseError as exc:
        return exc
    understand = redis.response_callbacks.get(str(command[0]))
    return answer if understand is None else understand(answer)
