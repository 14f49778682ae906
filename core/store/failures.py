"""What redis-py raises, and what it means: gone in a moment, or for good. Says what kind it is, and no text."""

from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    ConnectionError,  # noqa: A004 - redis-py's own
    OutOfMemoryError,
    ReadOnlyError,
    RedisClusterException,
    RedisError,
    ResponseError,
)

from core.store.durability import is_refusal

REDIS_ERRORS: tuple[type[Exception], ...] = (RedisError, OSError)
# The asyncio cluster client raises the last two, and means nothing by them, while a slot moves.
CLUSTER_ERRORS = (*REDIS_ERRORS, RedisClusterException, RuntimeError, AttributeError)


# For the operator, beside the name that redis-py or the server has for it.
_EXPLAINED: dict[str, str] = {
    AuthenticationError.__name__: "it refuses the user or the password in redis.url",
    AuthorizationError.__name__: "it refuses the user or the password in redis.url",
    OutOfMemoryError.__name__: "its data has reached its maxmemory",
    ReadOnlyError.__name__: "it is a replica and takes no writes",
    "MISCONF": "it cannot write its data to disk: is that full?",
}


class NotCommitted(RedisError):
    """What was written is not on disk, or on a replica, in time."""


def meant(error: Exception) -> Exception:
    """What a server refuses while a connection is made comes wrapped."""
    cause = error.__cause__
    return cause if type(error) is ConnectionError and isinstance(cause, RedisError) else error


def is_for_good(error: Exception) -> bool:
    """Whether to try again is in vain."""
    if isinstance(error, ResponseError):
        return is_refusal(error)
    return isinstance(error, AuthenticationError | AuthorizationError)


def kind_of(error: Exception) -> str:
    """redis-py has a class for most refusals. Others begin with a code in capitals; the rest may quote."""
    if isinstance(error, NotCommitted):
        return "did not bring it to disk, or to a replica, in time"
    kind = type(error).__name__
    if isinstance(error, ResponseError) and (code := str(error).partition(" ")[0]).isupper():
        kind = code
    return f"{kind} ({_EXPLAINED[kind]})" if kind in _EXPLAINED else kind
