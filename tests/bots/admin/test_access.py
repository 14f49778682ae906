"""Who may see the operator's page and give orders, and what is not understood."""

import asyncio
import socket

import httpx
import pytest

from bots.bot import Bot
from core.store.api_keys import ApiKeys
from core.store.store import Store
from tests.bots.admin.conftest import Operator

PAUSE = {"do": "pause", "platform": "room"}


async def test_until_there_is_a_key_this_machine_is_the_operator(bot: Bot) -> None:
    assert (await Operator(bot).order(PAUSE)).is_success


async def test_keys_are_for_operators_only_if_they_were_made_so(bot: Bot, store: Store) -> None:
    keys = ApiKeys(store.client)
    (program, _), (operator, _) = await keys.add("program"), await keys.add("ann", scope="admin")
    for key, status in (("", 401), ("tri-wrong", 401), (program, 403)):
        for answer in (await Operator(bot, key).order(PAUSE), await Operator(bot, key).get("/admin/stream")):
            assert answer.status_code == status, key
    assert store.fleet.held == set()
    assert (await Operator(bot, operator).order(PAUSE)).is_success


async def test_stream_ends_when_its_key_is_revoked(bot: Bot, store: Store) -> None:
    keys = ApiKeys(store.client)
    secret, _ = await keys.add("ann", scope="admin")
    async with asyncio.timeout(10), Operator(bot, secret).watching() as events:
        await anext(events)
        await keys.revoke("ann")
        async for _ in events:
            pass


async def test_stream_that_needed_no_key_ends_when_there_is_one(bot: Bot, store: Store) -> None:
    async with asyncio.timeout(10), Operator(bot).watching() as events:
        await anext(events)
        await ApiKeys(store.client).add("ann", scope="admin")
        async for _ in events:
            pass


@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"host": "evil.example"},
        {"x-forwarded-for": "192.0.2.1"},
    ],
)
async def test_other_sites_and_names_give_no_orders(bot: Bot, store: Store, headers: dict[str, str]) -> None:
    assert (await Operator(bot).order(PAUSE, **headers)).status_code in {401, 403, 421}
    assert store.fleet.held == set()


async def test_form_of_another_site_is_no_order(bot: Bot, store: Store) -> None:
    """A form may be sent to any site without asking it, as text too: then it can look like JSON."""
    async with httpx.AsyncClient(trust_env=False) as client:
        answer = await client.post(
            f"{bot.url}/admin/orders",
            content=b'{"do":"pause","platform":"room"}',
            headers={"content-type": "text/plain"},
        )
    assert answer.status_code == 415
    assert store.fleet.held == set()


@pytest.mark.parametrize(
    ("order", "status"),
    [
        ({"do": "dance"}, 400),
        ({"do": "pause"}, 400),
        ({"do": "pause", "platform": 7}, 400),
        ({"do": "pause", "platform": "room", "more": 1}, 400),
        ({"do": "pause", "platform": "<script>alert(1)</script>"}, 404),
        ({"do": "drain", "process": "nobody"}, 404),
        ({"do": "forget", "person": "ann"}, 400),
        ([[]] * 1000, 400),
    ],
)
async def test_order_that_makes_no_sense_is_told_so(bot: Bot, order: object, status: int) -> None:
    answer = await Operator(bot).order(order)
    assert answer.status_code == status
    assert set(answer.json()["error"]) >= {"message", "type"}
    assert "script" not in answer.text


async def test_body_that_is_no_json_is_told_so(bot: Bot) -> None:
    for body in (b"", b"{", b"\xff\xfe", b"[" * 100_000):
        async with httpx.AsyncClient(trust_env=False) as client:
            headers = {"content-type": "application/json"}
            answer = await client.post(f"{bot.url}/admin/orders", content=body, headers=headers)
        assert answer.status_code == 400


async def test_page_that_goes_leaves_nothing_behind(bot: Bot) -> None:
    for _ in range(40):  # more than may be open at once
        async with Operator(bot).watching() as events:
            await anext(events)


async def test_page_is_strict_about_what_runs_in_it(bot: Bot) -> None:
    answer = await Operator(bot).get("/admin")
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert "<script>" not in answer.text
    assert " style=" not in answer.text
    again = await Operator(bot).get("/admin", **{"if-none-match": answer.headers["etag"]})
    assert again.status_code == 304


async def test_reader_that_takes_nothing_holds_up_nobody(bot: Bot) -> None:
    """A page that was left open on a machine that sleeps."""
    assert bot.url is not None
    host, port = bot.url.removeprefix("http://").split(":")
    asleep = socket.create_connection((host, int(port)))
    asleep.sendall(b"GET /admin/stream HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
    try:
        await Operator(bot).until(lambda state: bool(state["processes"]))
    finally:
        asleep.close()
