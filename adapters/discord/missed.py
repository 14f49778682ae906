"""Reading what was said while there was no session: in channels whose newest message we have not seen.

A session that can be resumed misses nothing; this is for those that cannot, and for the time between two
processes.
What is found goes the way of every message, and what was accepted already is known there.
"""

import asyncio
import logging
from collections.abc import Iterable
from datetime import timedelta
from itertools import islice

import discord  # noqa: TID251

from adapters.delivery import Limited, Unavailable
from adapters.discord.intake import Intake, WherePlaced
from adapters.discord.rest import Rejected, Rest
from adapters.discord.waiting import Waits
from adapters.gap import Gap
from core.errors import Refused

log = logging.getLogger(__name__)

_OLDEST = timedelta(hours=1)  # who waited longer has gone, and would be surprised
_CHANNELS = 300
_DIRECTS = 200  # of these: only asking tells whether something is new there
_PAGE = 100  # the most that one call gives
_PAGES = 5


async def read_missed(
    guilds: Iterable[discord.Guild],
    directs: Iterable[str],
    after: int,
    rest: Rest,
    intake: Intake,
    place: WherePlaced,
    gap: Gap,
    waits: Waits,
) -> None:
    """Take the messages that are newer than the id `after`, oldest first in each channel. `gap` is told where that
    is, and how far it has come. `directs` are channels of direct messages, the one heard last first: 200 are read.
    Channels that cannot be read yet are tried again, until it is too late for them.
    """
    floor = max(after, discord.utils.time_snowflake(discord.utils.utcnow() - _OLDEST))
    where = [*((channel, None) for channel in islice(directs, _DIRECTS)), *_fresh(guilds, floor)]
    if len(where) > _CHANNELS:
        log.warning("%d channels have news; the newest %d are read", len(where), _CHANNELS)
    left = where[:_CHANNELS]
    gap.narrow(channel for channel, _ in left)
    loop = asyncio.get_running_loop()
    until = loop.time() + _OLDEST.total_seconds()
    while left := [one for one in left if not await _is_read(*one, floor, rest, intake, place, gap)]:
        if loop.time() > until:
            log.warning("%d channels were not read, the first is %s", len(left), left[0][0])
            gap.narrow(())
            return
        await waits.next()


async def _is_read(
    channel: str,
    guild: discord.Guild | None,
    floor: int,
    rest: Rest,
    intake: Intake,
    place: WherePlaced,
    gap: Gap,
) -> bool:
    """Read a channel. False: to be tried again."""
    try:
        await _read(channel, guild, floor, rest, intake, place)
    except (Rejected, Refused) as exc:
        log.info("channel %s cannot be read: %s", channel, exc)
    except Unavailable as exc:
        log.warning("channel %s is not read yet: %s", channel, exc)
        return False
    except Limited as exc:
        log.warning("channel %s is not read yet: %s", channel, exc)
        await asyncio.sleep(exc.after)
        return False
    gap.was_read(channel)
    return True


def _fresh(guilds: Iterable[discord.Guild], floor: int) -> list[tuple[str, discord.Guild | None]]:
    found = [
        (channel.last_message_id or 0, str(channel.id), guild)
        for guild in guilds
        for channels in (guild.text_channels, guild.voice_channels, guild.stage_channels, guild.threads)
        for channel in channels
    ]
    found.sort(key=lambda one: one[0], reverse=True)
    return [(channel, guild) for last, channel, guild in found if last > floor]


async def _read(
    channel: str, guild: discord.Guild | None, floor: int, rest: Rest, intake: Intake, place: WherePlaced
) -> None:
    for _ in range(_PAGES):
        page = await rest.call(
            "GET",
            "/channels/{channel_id}/messages",
            query={"after": floor, "limit": _PAGE},
            channel_id=channel,
        )
        page = page if isinstance(page, list) else []
        for message in sorted(page, key=lambda one: int(one["id"])):
            if guild is not None:
                message["guild_id"] = str(guild.id)  # only the gateway says it
            floor = int(message["id"])
            await intake.take(message, place)
        if len(page) < _PAGE:
            return
