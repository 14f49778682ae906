"""Which accounts are one person's; on a real server."""

import asyncio
from dataclasses import replace

import pytest

from core.store.client import StoreSettings
from core.store.export import Exporter
from core.store.forget import Forget, Person
from core.store.importing import Importer, encode_line
from core.store.links import Joined, Links
from core.store.store import Store, open_store
from tests.core.store.lossy import Lossy

DISCORD, TELEGRAM, SLACK = "discord/1", "telegram/2", "slack/3"
PLACES = {DISCORD: "discord/bot/10", TELEGRAM: "telegram/bot/20", SLACK: "slack/bot/30"}


async def offer(links: Links, account: str) -> str:
    return await links.offer(account, PLACES[account], account.title())


async def join(links: Links, account: str, code: str) -> Joined:
    return await links.join(account, PLACES.get(account, "other/bot/1"), code)


async def age(store: Store, seconds: float) -> None:
    """As if codes had been offered so long ago."""
    _, codes = store.client.keys.links
    kept: dict[bytes, bytes] = await store.client.ask("HGETALL", codes, key=codes)
    for name, code in kept.items():
        ends, _, rest = code.partition(b" ")
        earlier = f"{int(ends) - int(seconds * 1000)}".encode()
        await store.client.ask("HSET", codes, name, earlier + b" " + rest, key=codes)


@pytest.fixture
def links(store: Store) -> Links:
    return Links(store.client)


async def test_code_joins_two_accounts_and_their_private_places(links: Links) -> None:
    assert await links.accounts(DISCORD) == [DISCORD]
    code = await offer(links, DISCORD)
    assert await join(links, TELEGRAM, f" {code.lower()} ") == Joined("joined", DISCORD, "Discord/1")
    link = await links.of(DISCORD)
    assert link
    joined = (TELEGRAM, PLACES[DISCORD], PLACES[TELEGRAM], "discord/bot/@1", "telegram/bot/@2")
    assert {await links.of(name) for name in joined} == {link}
    assert await links.of("telegram/other/@2") == "", "another bot's memory is another one"
    assert await links.accounts(TELEGRAM) == [TELEGRAM, DISCORD]


async def test_third_account_comes_by_a_code_of_either(links: Links) -> None:
    await join(links, TELEGRAM, await offer(links, DISCORD))
    await join(links, SLACK, await offer(links, TELEGRAM))
    assert await links.accounts(SLACK) == [SLACK, DISCORD, TELEGRAM]


async def test_code_is_good_once_and_for_ten_minutes_and_only_the_last_one_of_an_account(
    store: Store, links: Links
) -> None:
    first, second = [await offer(links, DISCORD) for _ in range(2)]
    assert (await join(links, TELEGRAM, first)).how == "unknown"
    assert (await join(links, DISCORD, second)).how == "own"
    await age(store, 599)
    assert (await join(links, TELEGRAM, second)).how == "joined"
    assert (await join(links, SLACK, second)).how == "unknown"
    third = await offer(links, DISCORD)
    await age(store, 601)
    assert (await join(links, SLACK, third)).how == "unknown"
    assert (await join(links, SLACK, "")).how == "unknown"


async def test_of_many_who_use_a_code_at_once_one_is_joined(links: Links) -> None:
    code = await offer(links, DISCORD)
    answers = await asyncio.gather(*(join(links, f"other/{number}", code) for number in range(20)))
    assert sorted(answer.how for answer in answers) == ["joined"] + ["unknown"] * 19


async def test_account_is_joined_with_itself_where_it_talks_to_another_bot(links: Links) -> None:
    assert (await links.join(DISCORD, "discord/other/11", await offer(links, DISCORD))).how == "joined"
    assert await links.of("discord/other/@1") == await links.of("discord/bot/@1") != ""
    assert await links.accounts(DISCORD) == [DISCORD]


async def test_account_that_is_joined_already_is_not_joined_with_others(links: Links) -> None:
    await join(links, TELEGRAM, await offer(links, DISCORD))
    assert (await join(links, TELEGRAM, await offer(links, SLACK))).how == "other"
    assert await links.accounts(SLACK) == [SLACK]


async def test_who_leaves_is_joined_with_none_and_the_others_stay_together(links: Links) -> None:
    await join(links, TELEGRAM, await offer(links, DISCORD))
    await join(links, SLACK, await offer(links, DISCORD))
    code = await offer(links, TELEGRAM)
    await links.leave(TELEGRAM)
    assert (await links.of(TELEGRAM), await links.of(PLACES[TELEGRAM])) == ("", "")
    assert await links.accounts(DISCORD) == [DISCORD, SLACK]
    assert (await join(links, "other/1", code)).how == "unknown"


@pytest.mark.parametrize("lost", ["request", "answer"])
async def test_step_whose_answer_was_lost_happens_once(lossy_way: tuple[Lossy, Store], lost: str) -> None:
    way, store = lossy_way
    links = Links(store.client)
    lose = way.lose_request_of if lost == "request" else way.lose_answer_of
    lose("link_offer")
    code = await offer(links, DISCORD)
    lose("link_join")
    assert (await join(links, TELEGRAM, code)).how == "joined"
    lose("link_leave")
    await links.leave(TELEGRAM)
    assert way.lost == 3
    assert await links.accounts(DISCORD) == [DISCORD]


async def test_store_has_neither_codes_nor_names_in_the_clear(store_settings: StoreSettings) -> None:
    key = "AQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQEBAQE="
    async with open_store(replace(store_settings, encryption_keys=(key,))) as store:
        code = await Links(store.client).offer(DISCORD, PLACES[DISCORD], "Annabella")
        kept = str(await store.client.ask("HGETALL", store.client.keys.links[1], key=store.client.keys.links[1]))
        assert "Annabella" not in kept
        assert code not in kept and code.replace("-", "") not in kept
        assert (await join(Links(store.client), TELEGRAM, code)).name == "Annabella"


async def test_person_who_is_forgotten_is_joined_with_none(store: Store, links: Links) -> None:
    await join(links, TELEGRAM, await offer(links, DISCORD))
    await Forget(store.client, store.inbox).person(Person("telegram", "2"))
    assert await links.all() == {
        DISCORD: await links.of(DISCORD),
        PLACES[DISCORD]: f"{await links.of(DISCORD)} {DISCORD}",
        "discord/bot/@1": f"{await links.of(DISCORD)} {DISCORD}",
    }
    await Forget(store.client, store.inbox).everything()
    assert await links.all() == {}


async def test_export_takes_links_into_another_store(
    store: Store, links: Links, store_settings: StoreSettings
) -> None:
    await join(links, TELEGRAM, await offer(links, DISCORD))
    exporter = Exporter(store.client, store.inbox)
    exported = [encode_line(record) async for record in exporter.everything()]
    async with open_store(replace(store_settings, prefix="other", shards=5)) as other:
        for _ in range(2):
            await Importer(other.client, other.inbox, most=2000).read(exported)
        assert await Links(other.client).all() == await links.all() != {}
    of_ann = [encode_line(record) async for record in exporter.person(Person("telegram", "2"))]
    assert any(b'"discord/1"' in line for line in of_ann)
