"""What an operator is told of each platform's connection: whether it stands, and how the calls over it end."""

from collections.abc import AsyncIterator

import pytest

from bots.bot import Bot
from core.engine.scripted import ScriptedEngine
from core.store.store import Store
from tests.bots.instruments.scrape import get, of, samples
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.test_trouble import break_calls
from tests.core.store.steps import eventually
from tests.running import running

AnyRig = DiscordRig | SlackRig | TelegramRig
SERVED = ("127.0.0.1", 0)


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig], ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[AnyRig]:
    async with request.param(store) as rig:
        yield rig


async def break_down(rig: AnyRig) -> None:
    if isinstance(rig, TelegramRig):
        rig.fake.down = True
        await rig.fake.say("this ends the poll under way")
    else:
        rig.fake.break_down()


async def until_ready(bot: Bot, platform: str, *, ready: bool) -> None:
    async def is_so() -> bool:
        answer = await get(bot, "/readyz")
        assert answer.is_success == all(answer.json().values())
        return bool(answer.json()[platform] is ready)

    await eventually(is_so)


async def test_lost_connection_is_not_ready_until_it_is_found_again(rig: AnyRig, store: Store) -> None:
    platform = rig.adapter.platform
    async with running(rig.adapter, store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        await until_ready(bot, platform, ready=True)
        await break_down(rig)
        await until_ready(bot, platform, ready=False)
        assert (await samples(bot))[of("trialogue_platform_connected", platform=platform)] == 0
        rig.fake.mend()
        await until_ready(bot, platform, ready=True)


async def test_calls_are_counted_by_how_they_end(rig: AnyRig, store: Store) -> None:
    break_calls(rig, "send", "429", "down")
    async with running(rig.adapter, store=store, engine=ScriptedEngine(), address=SERVED) as bot:
        await rig.direct("hello")
        await rig.until_replies(lambda texts: texts == ["You said: hello"], person="ann")
        seen = await samples(bot)
    name, sends = "trialogue_delivery_calls_total", {"platform": rig.adapter.platform, "call": "send"}
    assert [seen[of(name, **sends, outcome=how)] for how in ("limited", "unavailable", "done")] == [1, 1, 1]
