"""Secrets that adapters keep in the store."""

from dataclasses import replace
from datetime import timedelta

from core.store.client import StoreSettings
from core.store.renewal import rotate
from core.store.store import Store, open_store

FIRST, SECOND = "A" * 43 + "=", "B" * 42 + "A="


async def test_secret_is_kept_until_it_is_removed(store: Store) -> None:
    await store.vault.put("slack/1/T1", "one")
    await store.vault.put("slack/1/T2", "two")
    await store.vault.put("slack/1/T1", "three")
    assert await store.vault.names("slack/1/") == ["slack/1/T1", "slack/1/T2"]
    assert await store.vault.names("slack/2/") == []
    assert await store.vault.get("slack/1/T1") == "three"
    await store.vault.remove("slack/1/T1")
    assert await store.vault.get("slack/1/T1") is None


async def test_ticket_is_good_once_and_not_for_ever(store: Store) -> None:
    await store.vault.issue("one", timedelta(minutes=1))
    assert await store.vault.use("one")
    assert not await store.vault.use("one")
    assert not await store.vault.use("never issued")
    await store.vault.issue("two", timedelta(minutes=1))
    left = await store.client.read(lambda redis: redis.ttl(store.client.keys.value("ticket/two")))
    assert 0 < left <= 60


async def test_secret_is_encrypted_and_follows_a_change_of_keys(store_settings: StoreSettings) -> None:
    async with open_store(replace(store_settings, encryption_keys=(FIRST,))) as store:
        await store.vault.put("a", "xoxb-secret")
        kept = await store.client.read(lambda redis: redis.hgetall(store.client.keys.value("secrets")))
        assert b"xoxb-secret" not in b"".join(kept.values())
    async with open_store(replace(store_settings, encryption_keys=(SECOND, FIRST))) as store:
        assert await rotate(store.client) == 1
        assert await store.vault.get("a") == "xoxb-secret"
    async with open_store(replace(store_settings, encryption_keys=(SECOND,))) as store:
        assert await store.vault.get("a") == "xoxb-secret"
