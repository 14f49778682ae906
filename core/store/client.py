"""The border to Redis: scripts that may be repeated, put into few pipelines, repeated until a bound.

Whatever redis-py raises ends here as `StoreUnavailable`. Its text has the kind of failure, never the command: that
holds people's words. This module knows no key.

Calls made at the same time travel in one pipeline, in the order in which they were made; the next pipeline starts
when the last has ended. With `appendfsync always` that is one disk sync for all of them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.exceptions import BusyLoadingError, NoScriptError, ResponseError

from core.errors import CoreError, StoreUnavailable
from core.store.background import Background
from core.store.checks import Checks
from core.store.connect import Address, AnyRedis, connect, disconnect
from core.store.durability import Command, Fsync, committed, is_refusal
from core.store.failures import CLUSTER_ERRORS, REDIS_ERRORS, is_for_good, kind_of, meant
from core.store.keys import Keys
from core.store.pipe import Pipe
from core.store.scripts import Call, ScriptName

if TYPE_CHECKING:
    from core.store.embedded import EmbeddedServer

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOADING_SECONDS = 120.0
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the store is. `data_dir` holds the embedded server's files; `fsync` is how it writes them.

    The number of `shards` is fixed when a store is made. Of each conversation the last `max_turns` turns are kept.
    A call that does not get through is repeated for `patience` seconds.
    """

    url: str = field(default="embedded", repr=False)
    data_dir: Path
    fsync: Fsync = "always"
    shards: int = 16
    max_turns: int = 2000
    patience: float = 5.0


class Client:
    """One process's way to its store. Made by `open_client`."""

    def __init__(self, settings: StoreSettings, tasks: Background) -> None:
        self._settings = settings
        self._tasks = tasks
        self._embedded: EmbeddedServer | None = None
        self._address: Address | None = None
        self._redis: AnyRedis | None = None
        self._commits: tuple[Command, ...] = ()
        self._checks = Checks(self.describe)
        self._checked = False
        self._checking = asyncio.Lock()
        # Waiting for the disk blocks a connection: what need not wait has another one.
        self._committed = Pipe(partial(self._send, commit=True))
        self._plain = Pipe(partial(self._send, commit=False))
        if settings.url == "embedded":
            self._embedded = _embedded_server(settings)
        else:
            self._address = Address.parse(settings.url)
        self.keys = Keys(settings.shards, self._address.db if self._address is not None else 0)

    @property
    def is_cluster(self) -> bool:
        return isinstance(self._redis, RedisCluster)

    def describe(self) -> str:
        """Where the store is, without any secret."""
        return f"redis in {self._settings.data_dir}" if self._embedded is not None else str(self._address)

    async def start(self) -> None:
        """Connect, and look whether this is a server and a store that we can use. Waits while it loads its data.

        Raises `StoreUnavailable`.
        """
        if self._embedded is not None:
            await self._embedded.ensure()
            self._address = Address.parse(self._embedded.url)
        assert self._address is not None
        self._redis = redis = connect(self._address, self._look_again)
        shards = self._settings.shards
        await self._insistently(lambda: self._checks.shards(redis, shards), loading=_LOADING_SECONDS)
        self._tasks.start(self._committed.run)
        self._tasks.start(self._plain.run)

    async def aclose(self) -> None:
        if self._redis is not None:
            redis = self._redis
            await self._tasks.stop()  # a task that still runs would connect again
            await self._tasks.call(lambda: disconnect(redis))
        if self._embedded is not None:
            self._embedded.close()

    async def run(
        self, name: ScriptName, keys: Sequence[str], *args: str | bytes | int, commit: bool = False
    ) -> Any:
        """Run a script. Raises `StoreUnavailable`, and `Overloaded` when too many calls wait."""
        return await (self._committed if commit else self._plain).call(Call.of(name, keys, *args))

    async def run_all(self, calls: Collection[Call]) -> list[Any]:
        """Run scripts in one pipeline. An answer may be an exception."""
        return await self._plain.call_all(calls)

    async def read(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Ask redis-py something that changes nothing, or that may be repeated. Raises `StoreUnavailable`."""
        return await self._insistently(lambda: ask(self._redis))

    async def put(self, key: str, value: bytes, milliseconds: int) -> None:
        """Set a value that expires. On disk when this returns."""

        async def attempt() -> None:
            [answer] = await self._pipeline([("SET", key, value, "PX", milliseconds)], [key])
            if isinstance(answer, Exception):
                raise answer

        await self._insistently(attempt)

    async def scan(self, pattern: str) -> set[str]:
        """The keys that match. Raises `StoreUnavailable`."""

        async def keys(redis: Any) -> set[str]:
            return {key.decode() async for key in redis.scan_iter(pattern, count=1000)}

        return await self.read(keys)

    @asynccontextmanager
    async def pubsub(self) -> AsyncIterator[PubSub]:
        """A connection for channels. Raises `StoreUnavailable` wherever the block uses it in vain."""
        assert self._redis is not None
        pubsub = self._redis.pubsub()
        try:
            yield pubsub
        except self.errors as exc:
            self._checked = False
            raise self._unavailable(exc) from exc
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    async def _send(self, calls: Sequence[Call], *, commit: bool) -> list[Any]:
        return await self._insistently(lambda: self._attempt(calls, commit=commit))

    async def _attempt(self, calls: Sequence[Call], *, commit: bool) -> list[Any]:
        keys = [call.keys[0] for call in calls] if commit else []
        answers = await self._pipeline([call.by_digest() for call in calls], keys)
        unknown = [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]
        if unknown:
            again = await self._pipeline(
                [calls[i].by_source() for i in unknown], [keys[i] for i in unknown if commit]
            )
            for i, answer in zip(unknown, again, strict=True):
                answers[i] = answer
        return [self._refused(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def _pipeline(self, commands: Sequence[Command], commit_keys: Sequence[str]) -> list[Any]:
        """Send commands in one pipeline, and wait for the disks of the nodes that hold `commit_keys`.

        An answer may be a server's refusal; what may be gone in a moment is raised.
        """
        redis = self._redis
        commits = self._commits if commit_keys else ()
        if isinstance(redis, RedisCluster):
            cluster = redis.pipeline()
            for command in commands:
                cluster.execute_command(*command)
            for node in {redis.get_node_from_key(key) for key in commit_keys} if commits else ():
                for command in commits:
                    cluster.execute_command(*command, target_nodes=node)
            # A command that was redirected has left its node: the commit after it would count nothing.
            answers = await cluster.execute(raise_on_error=False, allow_redirections=not commits)
        else:
            assert redis is not None
            async with redis.pipeline(transaction=False) as pipeline:
                for command in (*commands, *commits):
                    pipeline.execute_command(*command)
                answers = await pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, Exception) and not (isinstance(answer, ResponseError) and is_refusal(answer)):
                raise answer
        if not all(committed(answer) for answer in answers[len(commands) :]):
            self._checked = False
            raise StoreUnavailable(f"{self.describe()} did not bring it to disk, or to a replica, in time")
        return list(answers[: len(commands)])

    async def _insistently(self, attempt: Callable[[], Awaitable[T]], *, loading: float = 0.0) -> T:
        """Try until it works, or for `patience` seconds; for `loading` seconds while the server reads its data."""
        return await self._tasks.call(lambda: self._try(attempt, loading))

    async def _try(self, attempt: Callable[[], Awaitable[T]], loading: float) -> T:
        loop = asyncio.get_running_loop()
        started, wait = loop.time(), _FIRST_WAIT
        while True:
            try:
                if not self._checked:
                    await self._check()
                return await attempt()
            except CoreError:
                raise
            except self.errors as error:
                exc = meant(error)
                self._checked = False
                patience = max(self._settings.patience, loading if isinstance(exc, BusyLoadingError) else 0.0)
                if is_for_good(exc) or loop.time() + wait - started > patience:
                    raise self._unavailable(exc) from exc
                log.debug("%s: trying again after %s", self.describe(), type(exc).__name__)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            if self._embedded is not None:
                await self._embedded.ensure()

    async def _check(self) -> None:
        """Look at each server again, at the start and after any failure: another one may answer now."""
        async with self._checking:
            if self._checked:
                return
            assert self._redis is not None
            self._commits = await self._checks.commits(self._redis)
            self._checked = True

    def _look_again(self) -> None:
        self._checked = False

    @property
    def errors(self) -> tuple[type[Exception], ...]:
        """What redis-py may raise."""
        return CLUSTER_ERRORS if self.is_cluster else REDIS_ERRORS

    def _refused(self, error: Exception) -> StoreUnavailable:
        refusal = self._unavailable(error)
        refusal.__cause__ = error
        return refusal

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        why = kind_of(error)
        if self._embedded is not None and self._embedded.last_end:
            why += f" (the server ended: {self._embedded.last_end})"
        return StoreUnavailable(f"{self.describe()}: {why}")


def _embedded_server(settings: StoreSettings) -> "EmbeddedServer":
    try:
        from core.store.embedded import EmbeddedServer  # noqa: PLC0415 - Windows has no such locks
    except ImportError as exc:
        raise StoreUnavailable(
            "there is no embedded server for this system: set redis.url to a server that runs elsewhere"
        ) from exc
    return EmbeddedServer(settings.data_dir / "redis", fsync=settings.fsync)


@asynccontextmanager
async def open_client(settings: StoreSettings, tasks: Background) -> AsyncIterator[Client]:
    """A client that has connected. Raises `StoreUnavailable`."""
    client = Client(settings, tasks)
    try:
        await client.start()
        yield client
    finally:
        await client.aclose()
