"""What is waited for at a commit point, by what a server says of itself."""

from typing import Any

import pytest
from redis.exceptions import BusyLoadingError, ReadOnlyError

from core.errors import StoreUnavailable
from core.store.durability import Durability, committed

SAFE: dict[str, Any] = {"redis_version": "7.2.4", "aof_enabled": 1, "role": "master"}


def commits(fsync: str | None = "always", **info: Any) -> list[str]:
    return [str(command[0]) for command in Durability.of("redis", SAFE | info, fsync).commits]


def test_a_server_that_always_syncs_is_not_waited_for() -> None:
    assert commits() == []


@pytest.mark.parametrize("fsync", ["everysec", "no", None])
def test_any_other_server_is_waited_for(fsync: str | None) -> None:
    assert commits(fsync) == ["WAITAOF"]


def test_a_replica_is_waited_for_where_there_is_one() -> None:
    assert commits(connected_slaves=1, slave0={"ip": "::1", "port": 1, "state": "online", "lag": 0}) == ["WAIT"]


def test_a_replica_that_loads_its_data_is_not_waited_for() -> None:
    assert commits(connected_slaves=1, slave0={"ip": "::1", "port": 1, "state": "wait_bgsave"}) == []


def test_a_server_without_a_file_promises_nothing() -> None:
    assert Durability.of("redis", SAFE, "always").durable
    assert not Durability.of("redis", SAFE | {"aof_enabled": 0}, "always").durable


@pytest.mark.parametrize(("version", "fsync"), [("6.0.16", "always"), ("7.0.15", "everysec"), ("6.2.1", None)])
def test_a_server_that_cannot_promise_is_refused(version: str, fsync: str | None) -> None:
    with pytest.raises(StoreUnavailable, match=r"7\.2 is needed"):
        commits(fsync, redis_version=version)


def test_an_older_server_that_always_syncs_is_good_enough() -> None:
    assert commits(redis_version="6.2.14") == []


def test_a_server_that_is_not_ready_is_tried_again() -> None:
    with pytest.raises(BusyLoadingError):
        commits(loading=1)
    with pytest.raises(ReadOnlyError):
        commits(role="slave")


def test_no_copy_is_no_commit() -> None:
    assert committed([1, 0])
    assert committed(1)
    assert not committed([0, 0])
    assert not committed(0)
