"""The border to Redis: scripts that may be repeated, put into few pipelines, repeated until a bound.

Whatever redis-py raises ends here as `StoreUnavailable`. Its text has the kind of failure, never the command: that
holds people's words. This module knows no key.

Calls made at the same time travel in one pipeline, in the order in which they were made; the next pipeline starts
when the last has ended. With `appendfsync always` that is one disk sync for all of them.
"""

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from redis.asyncio import RedisCluster
from redis.asyncio.client import PubSub
from redis.exceptions import BusyLoadingError, NoScriptError

from core.errors import CoreError, StoreUnavailable
from core.store import schema
from core.store.background import Background
from core.store.connect import Address, connect, disconnect
from core.store.durability import Fsync
from core.store.failures import is_for_good, kind_of, meant
from core.store.keys import Keys
from core.store.pipe import Pipe
from core.store.records import Records
from core.store.scripts import Call, ScriptName
from core.store.sealing import Keyring
from core.store.servers import Servers
from core.turns import WhenBusy

if TYPE_CHECKING:
    from core.store.embedded import EmbeddedServer

log = logging.getLogger(__name__)

T = TypeVar("T")

_LOADING_SECONDS = 120.0
_PAGE = 1000  # keys that a server looks at in one go
_FIRST_WAIT, _LONGEST_WAIT = 0.02, 0.5


@dataclass(frozen=True, slots=True, kw_only=True)
class StoreSettings:
    """Where the store is. `data_dir` holds the embedded server's files; `fsync` is how it writes them.

    The number of `shards` is fixed when a store is made. Stores with different `prefix`es may share a server.
    Of each conversation the last `max_turns` turns are kept, for as long as `keep` (`None`: for ever). A call that
    does not get through is repeated for `patience` seconds. Where there are `encryption_keys`, what people said is
    encrypted with the first. `when_busy` is for places where nothing else is set.
    """

    url: str = field(default="embedded", repr=False)
    data_dir: Path
    fsync: Fsync = "always"
    shards: int = 16
    prefix: str = ""
    encryption_keys: tuple[str, ...] = field(default=(), repr=False)
    max_turns: int = 2000
    keep: timedelta | None = None
    patience: float = 5.0
    when_busy: WhenBusy = "queue"


class Client:
    """One process's way to its store. Made by `open_client`."""

    def __init__(self, settings: StoreSettings, tasks: Background) -> None:
        self._settings = settings
        self._tasks = tasks
        self._embedded: EmbeddedServer | None = None
        self._address: Address | None = None
        self._pipes: dict[tuple[str, bool], Pipe] = {}
        if settings.url == "embedded":
            self._embedded = _embedded_server(settings)
        else:
            self._address = Address.parse(settings.url)
        self._opened: Servers | None = None
        db = self._address.db if self._address is not None else 0
        self.keys = Keys(settings.shards, db, settings.prefix)
        self.keyring = Keyring(settings.encryption_keys) if settings.encryption_keys else None
        self.records = Records(self.keyring)

    @property
    def is_cluster(self) -> bool:
        return self._servers.is_cluster

    @property
    def is_embedded(self) -> bool:
        """Whether the server is ours alone."""
        return self._embedded is not None

    @property
    def folder(self) -> Path | None:
        """Where the server has its files, if it is ours."""
        return self._settings.data_dir / "redis" if self._embedded is not None else None

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
        redis = connect(self._address, self._connected)
        self._opened = Servers(redis, self.describe())
        name = self.describe()
        await self._insistently(self._servers.look, loading=_LOADING_SECONDS)
        await self._insistently(lambda: schema.check(redis, self.keys, self.keyring, name))

    async def aclose(self) -> None:
        if (servers := self._opened) is not None:
            await self._tasks.stop()  # a task that still runs would connect again
            await self._tasks.call(lambda: disconnect(servers.redis))
        if self._embedded is not None:
            self._embedded.close()

    async def run(
        self, name: ScriptName, keys: Sequence[str], *args: str | bytes | int, commit: bool = False
    ) -> Any:
        """Run a script. Raises `StoreUnavailable`, and `Overloaded` when too many calls wait."""
        return await self._pipe_for(keys[0], commit=commit).call(Call.of(name, keys, *args))

    def start_all(self, calls: Iterable[Call]) -> list[asyncio.Future[Any]]:
        """The answers to come to scripts that do not depend on one another: each as from `run`."""
        return [self._pipe_for(call.keys[0], commit=False).start(call) for call in calls]

    async def ask(self, *command: str | bytes | int, key: str, commit: bool = False) -> Any:
        """The answer to one command, which may be repeated, of the server that has `key`. With `commit`, what it
        wrote is on disk by then. Raises `StoreUnavailable`."""

        async def attempt() -> Any:
            [answer] = await self._servers.send([command], key, commit=commit)
            if isinstance(answer, Exception):
                raise answer
            return answer

        return await self._insistently(attempt)

    async def read(self, ask: Callable[[Any], Awaitable[T]]) -> T:
        """Ask redis-py something that changes nothing, or that may be repeated, of all servers or any.

        Raises `StoreUnavailable`.
        """

        async def attempt() -> T:
            await self._servers.look_again()
            return await ask(self._servers.redis)

        return await self._insistently(attempt)

    async def pages(self, pattern: str) -> AsyncIterator[list[str]]:
        """The keys that match, some at a time, in no order. What is there all the while comes at least once, and
        may come again. Raises `StoreUnavailable`."""
        redis = self._servers.redis
        nodes = redis.get_primaries() if isinstance(redis, RedisCluster) else [None]
        for node in nodes:
            where = {} if node is None else {"target_nodes": node}
            cursor = None
            while cursor != 0:
                cursor, page = await self.read(partial(_scan, cursor=cursor or 0, pattern=pattern, where=where))
                yield [key.decode() for key in page]

    @asynccontextmanager
    async def pubsub(self) -> AsyncIterator[PubSub]:
        """A connection for channels. Raises `StoreUnavailable` wherever the block uses it in vain."""
        pubsub = self._servers.pubsub()
        try:
            yield pubsub
        except self._servers.errors as exc:
            self._servers.doubt()
            raise self._unavailable(exc) from exc
        finally:
            await pubsub.aclose()  # type: ignore[no-untyped-call]

    def _connected(self) -> None:
        if self._opened is not None:
            self._opened.doubt()

    @property
    def _servers(self) -> Servers:
        assert self._opened is not None, "the client is started"
        return self._opened

    def _pipe_for(self, key: str, *, commit: bool) -> Pipe:
        """Waiting for a disk blocks a connection, and waiting for a server that is gone holds up a pipe: what need
        not wait, and what another server may have, goes another way."""
        way = self._servers.group_of(key), commit
        if (pipe := self._pipes.get(way)) is None:
            self._pipes[way] = pipe = Pipe(partial(self._send, commit=commit))
            self._tasks.start(pipe.run)
        return pipe

    async def _send(self, calls: Sequence[Call], *, commit: bool) -> list[Any]:
        # A pipe runs in a task of its own already.
        return await self._try(lambda: self._attempt(calls, commit=commit), loading=0.0)

    async def _attempt(self, calls: Sequence[Call], *, commit: bool) -> list[Any]:
        key = calls[0].keys[0]
        answers = await self._servers.send([call.by_digest() for call in calls], key, commit=commit)
        if unknown := [i for i, answer in enumerate(answers) if isinstance(answer, NoScriptError)]:
            sources = [calls[i].by_source() for i in unknown]
            for i, answer in zip(unknown, await self._servers.send(sources, key, commit=commit), strict=True):
                answers[i] = answer
        return [self._refused(answer) if isinstance(answer, Exception) else answer for answer in answers]

    async def _insistently(self, attempt: Callable[[], Awaitable[T]], *, loading: float = 0.0) -> T:
        """Try until it works, or for `patience` seconds; for `loading` seconds while the server reads its data."""
        return await self._tasks.call(lambda: self._try(attempt, loading))

    async def _try(self, attempt: Callable[[], Awaitable[T]], loading: float) -> T:
        loop = asyncio.get_running_loop()
        started, wait = loop.time(), _FIRST_WAIT
        while True:
            try:
                return await attempt()
            except CoreError:
                raise
            except self._servers.errors as error:
                exc = meant(error)
                await self._servers.failed(exc)
                patience = max(self._settings.patience, loading if isinstance(exc, BusyLoadingError) else 0.0)
                if is_for_good(exc) or loop.time() + wait - started > patience:
                    raise self._unavailable(exc) from exc
                log.debug("%s: trying again after %s", self.describe(), type(exc).__name__)
            await asyncio.sleep(wait)
            wait = min(wait * 2, _LONGEST_WAIT)
            if self._embedded is not None:
                await self._embedded.ensure()

    def _refused(self, error: Exception) -> StoreUnavailable:
        refusal = self._unavailable(error)
        refusal.__cause__ = error
        return refusal

    def _unavailable(self, error: Exception) -> StoreUnavailable:
        why = kind_of(error)
        if self._embedded is not None and self._embedded.last_end:
            why += f" (the server ended: {self._embedded.last_end})"
        return StoreUnavailable(f"{self.describe()}: {why}")


async def _scan(redis: Any, *, cursor: int, pattern: str, where: Mapping[str, Any]) -> tuple[int, Sequence[bytes]]:
    after, page = await redis.scan(cursor, match=pattern, count=_PAGE, **where)
    return next(iter(after.values())) if isinstance(after, dict) else after, page


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
