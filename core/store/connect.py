"""From a URL to a redis-py client: one server, Sentinel or Cluster. Knows no key and no script.

redis-py repeats commands by itself when an answer was lost. Here that is switched off: `client` repeats, and only
what may be repeated.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import SplitResult, parse_qs, unquote, urlsplit

from redis.asyncio import Redis, RedisCluster, Sentinel
from redis.asyncio.cluster import ClusterNode
from redis.asyncio.connection import AbstractConnection, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import SentinelConnectionPool
from redis.backoff import ExponentialWithJitterBackoff, NoBackoff

from core.errors import StoreUnavailable

CONNECT_SECONDS = 2.0
ANSWER_SECONDS = 5.0
"""How long a server may take to answer. A blocking read must be well under this."""

_DEFAULT_PORTS = {"redis+sentinel": 26379, "redis+cluster": 6379}

AnyRedis = Redis | RedisCluster


@dataclass(frozen=True, slots=True)
class Address:
    """The parts of a URL. Its text shows no user and no password."""

    scheme: str
    hosts: tuple[tuple[str, int], ...]
    service: str
    options: dict[str, str]
    user: str | None
    password: str | None
    url: str

    @classmethod
    def parse(cls, url: str) -> "Address":
        try:
            parts = urlsplit(url)
            credentials, _, hosts = parts.netloc.rpartition("@")
            user, _, password = credentials.partition(":")
            return cls(
                parts.scheme,
                tuple(_host(host, _DEFAULT_PORTS.get(parts.scheme, 6379)) for host in hosts.split(",") if host),
                unquote(parts.path).strip("/") if parts.scheme != "unix" else unquote(parts.path),
                _options(parts),
                unquote(user) or None,
                unquote(password) or None,
                url,
            )
        except ValueError as exc:
            # The text of a ValueError has the URL in it, and that may have a password.
            raise StoreUnavailable("redis.url cannot be understood") from exc.with_traceback(None)

    def __str__(self) -> str:
        hosts = ",".join(f"{host}:{port}" for host, port in self.hosts)
        if self.scheme == "unix":
            return f"unix://{self.service}"
        return f"{self.scheme}://{hosts}" + (f"/{self.service}" if self.service else "")

    __repr__ = __str__

    @property
    def db(self) -> int:
        number = self.options.get("db") or (self.service if self.scheme in ("redis", "rediss") else "")
        return int(number) if number.isdigit() else 0


def connect(address: Address, connected: Callable[[], None]) -> AnyRedis:
    """A client that has not connected yet. `connected` is called for each new connection to a server, except on a
    cluster. Raises `StoreUnavailable` for a URL that nobody understands.
    """

    async def greet(connection: AbstractConnection) -> None:
        if not isinstance(connection, UnixDomainSocketConnection):  # that one has greeted already
            await connection.on_connect()
        connected()

    options: dict[str, Any] = {
        "protocol": 2,  # the third shapes the answers of streams differently
        "socket_timeout": ANSWER_SECONDS,
        "socket_connect_timeout": CONNECT_SECONDS,
        "socket_keepalive": True,
    }
    once: dict[str, Any] = {"retry": Retry(NoBackoff(), 0), "redis_connect_func": greet}
    try:
        match address.scheme:
            case "redis" | "rediss":
                return Redis.from_url(address.url, **options, **once)
            case "unix":
                options.pop("socket_keepalive")
                return Redis.from_url(address.url, **options, **once)
            case "redis+sentinel":
                return _sentinel(address, options | once)
            case "redis+cluster":
                return _cluster(address, options)
    except ValueError as exc:
        raise StoreUnavailable("redis.url cannot be understood") from exc.with_traceback(None)
    raise StoreUnavailable(f"redis.url has the unknown scheme {address.scheme!r}")


async def disconnect(redis: AnyRedis) -> None:
    """Close all connections, those to the sentinels too: redis-py forgets them."""
    await redis.aclose()
    pool = getattr(redis, "connection_pool", None)
    if isinstance(pool, SentinelConnectionPool):
        for sentinel in pool.sentinel_manager.sentinels:
            await sentinel.aclose()


def _sentinel(address: Address, options: dict[str, Any]) -> Redis:
    if not address.hosts or not address.service:
        raise StoreUnavailable("redis.url must be redis+sentinel://host:port,host:port/service")
    options = options | {"ssl": address.options.get("ssl") == "true"}
    secret = {"username": address.options.get("sentinel_username")}
    secret["password"] = address.options.get("sentinel_password")
    asked = {name: value for name, value in options.items() if name != "redis_connect_func"}
    sentinels = Sentinel(address.hosts, sentinel_kwargs=asked | secret)  # type: ignore[no-untyped-call]
    master: Redis = sentinels.master_for(
        address.service, db=address.db, username=address.user, password=address.password, **options
    )
    return master


def _cluster(address: Address, options: dict[str, Any]) -> RedisCluster:
    if not address.hosts:
        raise StoreUnavailable("redis.url must be redis+cluster://host:port,host:port")
    return RedisCluster(
        startup_nodes=[ClusterNode(host, port) for host, port in address.hosts],
        username=address.user,
        password=address.password,
        ssl=address.options.get("ssl") == "true",
        max_connections=1000,  # of each node: every shard has reads of its own that block
        # It also finds moved slots by trying again. What it runs may be repeated.
        retry=Retry(ExponentialWithJitterBackoff(base=0.05, cap=0.5), 3),
        **options,
    )


def _host(text: str, port: int) -> tuple[str, int]:
    host, colon, number = text.rpartition(":")
    if not colon or text.endswith("]"):
        return text.strip("[]"), port
    return host.strip("[]"), int(number)


def _options(parts: SplitResult) -> dict[str, str]:
    return {name: values[-1] for name, values in parse_qs(parts.query).items()}
