"""Keys of the API, on a real server."""

import pytest

from core.store.api_keys import PREFIX, ApiKeys
from core.store.store import Store


@pytest.fixture
def keys(store: Store) -> ApiKeys:
    return ApiKeys(store.client)


async def test_key_is_found_by_its_secret_alone(keys: ApiKeys) -> None:
    assert not await keys.any()
    secret, key = await keys.add("ann")
    assert secret.startswith(PREFIX)
    assert await keys.find(secret) == key
    assert await keys.find(secret[:-1]) is None
    assert await keys.find("\udcff") is None
    assert await keys.any()


async def test_secret_is_nowhere_in_the_store(keys: ApiKeys, store: Store) -> None:
    secret, _ = await keys.add("ann")
    kept = await store.client.read(lambda redis: redis.hgetall(store.client.keys.value("api-keys")))
    assert len(kept) == 1
    assert all(secret.encode() not in name + record for name, record in kept.items())


async def test_revoked_key_stays_listed_and_is_invalid(keys: ApiKeys) -> None:
    secret, key = await keys.add("ann")
    _, other = await keys.add("bob", scope="admin")
    assert [revoked.id for revoked in await keys.revoke("ann")] == [key.id]
    assert await keys.revoke(key.id) == []
    found = await keys.find(secret)
    assert found is not None
    assert not found.is_valid
    assert [each.is_valid for each in await keys.all()] == [False, True]
    assert await keys.revoke(other.id)
    assert await keys.any()  # what was closed to strangers does not open again


async def test_requests_over_the_limit_are_refused_with_the_time_to_wait(keys: ApiKeys) -> None:
    _, key = await keys.add("ann", requests_per_minute=2)
    granted = [await keys.ask(key) for _ in range(3)]
    assert [each.granted for each in granted] == [True, True, False]
    assert (granted[0].requests, granted[0].tokens) == (1, None)
    assert 0 < granted[2].wait <= 30


async def test_tokens_are_charged_afterwards_and_held_against_the_next_request(keys: ApiKeys) -> None:
    _, key = await keys.add("ann", tokens_per_minute=60)
    assert (await keys.ask(key)).granted
    assert (await keys.charge(key, 119)).tokens == -59
    refused = await keys.ask(key)
    assert not refused.granted
    assert 55 < refused.wait <= 60


async def test_key_without_limits_is_never_refused(keys: ApiKeys) -> None:
    _, key = await keys.add("ann")
    for _ in range(100):
        assert (await keys.ask(key)).granted
    assert (await keys.charge(key, 10**9)).granted
