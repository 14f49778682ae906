"""What a running bot's server says of it, as Prometheus reads it."""

import httpx
from prometheus_client.parser import text_string_to_metric_families

from bots.bot import Bot

Sample = tuple[str, frozenset[tuple[str, str]]]
Samples = dict[Sample, float]


async def get(bot: Bot, path: str, **headers: str) -> httpx.Response:
    async with httpx.AsyncClient(trust_env=False) as client:
        return await client.get(f"{bot.url}{path}", headers=headers)


async def samples(bot: Bot) -> Samples:
    text = (await get(bot, "/metrics")).text
    return {
        (sample.name, frozenset(sample.labels.items())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def of(name: str, **labels: str) -> Sample:
    return name, frozenset(labels.items())
