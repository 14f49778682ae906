"""Files whose address was signed long ago are fetched all the same."""

import pytest

from adapters.discord.adapter import DiscordAdapter
from adapters.discord.addresses import has_ended
from core.errors import NotFetched
from core.turns import Attachment
from tests.fakes.discord import FakeDiscord

LONG = 100 * 24 * 3600.0


async def fetched(adapter: DiscordAdapter, url: str) -> bytes:
    async with adapter, adapter.fetch(Attachment(kind="file", address={"url": url})) as chunks:
        return b"".join([chunk async for chunk in chunks])


async def test_old_address_is_signed_anew(adapter: DiscordAdapter, fake: FakeDiscord) -> None:
    old = fake.upload("x.txt", b"milk", "text/plain", age=LONG)
    assert await fetched(adapter, old["url"]) == b"milk"
    assert len(fake.calls("POST", "/attachments/refresh-urls")) == 1


async def test_new_address_is_used_as_it_is(adapter: DiscordAdapter, fake: FakeDiscord) -> None:
    new = fake.upload("x.txt", b"milk", "text/plain")
    assert await fetched(adapter, new["url"]) == b"milk"
    assert not fake.calls("POST", "/attachments/refresh-urls")


@pytest.mark.parametrize("fault", ["500", "429", "garbage", "unknown"])
async def test_where_discord_signs_nothing_anew_the_file_is_not_fetched(
    adapter: DiscordAdapter, fake: FakeDiscord, fault: str
) -> None:
    old = fake.upload("x.txt", b"milk", "text/plain", age=LONG)
    fake.fail("POST", "/attachments/refresh-urls", fault)  # type: ignore[arg-type]
    with pytest.raises(NotFetched):
        await fetched(adapter, old["url"])


async def test_address_of_somebody_else_is_never_fetched(adapter: DiscordAdapter, fake: FakeDiscord) -> None:
    with pytest.raises(NotFetched):
        await fetched(adapter, "http://127.0.0.1:9/attachments/1/x.txt?ex=1&is=1&hm=2")
    assert len(fake.calls("POST", "/attachments/refresh-urls")) == 1


@pytest.mark.parametrize(
    ("address", "ended"),
    [
        ("https://cdn.discordapp.com/attachments/1/2/x?ex=64&is=1&hm=2", True),
        ("https://cdn.discordapp.com/attachments/1/2/x?ex=ffffffff&is=1&hm=2", False),
        ("https://cdn.discordapp.com/attachments/1/2/x?ex=nothing", False),
        ("https://cdn.discordapp.com/attachments/1/2/x", False),
        ("", False),
    ],
)
def test_signature_says_when_it_ends(address: str, ended: bool) -> None:
    assert has_ended(address, 1_000.0) is ended
