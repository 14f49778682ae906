"""Reading what was said while the bot was away too long for Slack to bring it again.

Read are the direct messages and the threads that the bot takes part in, and the channels of those threads, for
mentions. What is found goes the way of every event, and what was accepted already is known there. Where somebody
speaks meanwhile is read first: Slack gives an event three seconds only, so that it cannot wait for all of it.
"""

import asyncio
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.delivery import Limited, MessageGone, Rate, Unavailable
from adapters.gap import Gap
from adapters.slack.attendance import Attendance, Thread
from adapters.slack.client import FAILURES, translated
from adapters.slack.history import Messages, read_page
from adapters.slack.intake import Intake, NotTaken, place_of
from adapters.slack.tier import Tier
from adapters.slack.waiting import Waits
from core.errors import Refused

log = logging.getLogger(__name__)

_OLDEST = timedelta(hours=1).total_seconds()  # who waited longer has gone, and would be surprised
_PAGES = 5
_TRIES = 5
# Tier 3 is 50 calls a minute (https://docs.slack.dev/apis/web-api/rate-limits). The rest is for deliveries, which
# look for a message that they may have sent.
_RATE = Rate(40, 60.0)


@dataclass(frozen=True, slots=True)
class _Place:
    channel: str
    thread: str | None
    since: float

    def __str__(self) -> str:
        return place_of(self.channel, self.thread)


class Missed:
    """Hands what was missed to `intake`. `attendance` says when there is something, and where, and `gap` is told
    how far that is read; `clock` says the seconds since the epoch."""

    def __init__(
        self,
        client: AsyncWebClient,
        intake: Intake,
        attendance: Attendance,
        gap: Gap,
        waits: Waits,
        clock: Callable[[], float],
    ) -> None:
        self._client = client
        self._intake = intake
        self._attendance = attendance
        self._gap = gap
        self._waits = waits
        self._clock = clock
        self._history = Tier(_RATE)
        self._replies = Tier(_RATE)
        self._told: set[str] = set()

    async def read(self) -> None:
        """After each long absence, for ever."""
        while True:
            since = await self._attendance.missed()
            floor = max(since, self._clock() - _OLDEST)
            known = {**self._roots(floor), **self._threads(floor)}
            self._gap.narrow(known)
            await self._read_all(known.values())
            # What was missed may have begun threads.
            begun = self._threads(floor)
            await self._read_all(place for name, place in begun.items() if name not in known)
            self._attendance.caught_up()

    def _roots(self, floor: float) -> Mapping[str, _Place]:
        channels = (thread.channel for thread in self._attendance.threads)
        return _named(_Place(channel, None, floor) for channel in [*self._attendance.directs, *channels])

    def _threads(self, floor: float) -> Mapping[str, _Place]:
        return _named(
            # `since` itself was for the bot, and perhaps never accepted.
            _Place(thread.channel, thread.ts, max(floor, float(thread.since) - 1e-6))
            for thread in self._attendance.threads
        )

    async def _read_all(self, places: Iterable[_Place]) -> None:
        """Those that cannot be read yet are tried again, until it is too late for them."""
        left, until = list(places), self._clock() + _OLDEST
        self._waits.reset()
        while left := [place for place in self._by_need(left) if not await self._done(place)]:
            if self._clock() > until:
                log.warning("%d rooms were not read, the first is %s", len(left), left[0])
                return
            await self._waits.next()

    def _by_need(self, places: Iterable[_Place]) -> Iterator[_Place]:
        """Always next the one for which somebody waits by then."""
        left = list(places)
        while left:
            place = next((one for one in left if self._gap.is_waited_for(str(one))), left[0])
            left.remove(place)
            yield place

    async def _done(self, place: _Place) -> bool:
        """Read `place`. False: to be tried again."""
        try:
            await self._take(place, await self._messages(place))
        except (MessageGone, Refused) as exc:
            self._tell(place, exc)
        except (Limited, NotTaken, Unavailable) as exc:
            log.warning("%s is not read yet: %s", place, type(exc).__name__)
            return False
        self._gap.was_read(str(place))
        return True

    async def _take(self, place: _Place, messages: Messages) -> None:
        for message in messages:
            under = message.get("thread_ts")
            if under is not None and place.thread is None and place.channel in self._attendance.directs:
                self._attendance.follow(Thread(place.channel, str(under)))
            # A message with a thread under it stands in the channel, and all others of the thread in the thread,
            # also those that are shown in both.
            if (under in (None, message["ts"])) == (place.thread is None):
                await self._intake.take(_as_event(message, place), missed=True)

    async def _messages(self, place: _Place) -> Messages:
        """Those newer than `place.since`, oldest first."""
        found: Messages = []
        cursor: str | None = None
        for _ in range(_PAGES):
            page, cursor = await self._page(place, cursor)
            found += page
            if cursor is None:
                break
        else:
            log.warning("in %s more was missed than the %d messages that are read", place, len(found))
        return sorted((one for one in found if _moment(one) > place.since), key=_moment)

    async def _page(self, place: _Place, cursor: str | None) -> tuple[Messages, str | None]:
        """Raises what `translated` makes of a failure."""
        tier = self._history if place.thread is None else self._replies
        limited = Limited(0.0)
        for _ in range(_TRIES):
            await asyncio.sleep(max(limited.after, tier.take(asyncio.get_running_loop().time())))
            try:
                return await read_page(
                    self._client, place.channel, place.thread, oldest=f"{place.since:.6f}", cursor=cursor
                )
            except FAILURES as exc:
                meant = translated(exc)
                if not isinstance(meant, Limited):
                    raise meant from exc
                limited = meant
        raise limited

    def _tell(self, place: _Place, refusal: MessageGone | Refused) -> None:
        """A missing scope is the same everywhere, and told once."""
        why = refusal.why if isinstance(refusal, Refused) else "it is gone"
        if why in self._told:
            log.info("what was said in %s while the bot was away is not read: %s", place, why)
        else:
            self._told.add(why)
            log.warning("what was said in %s while the bot was away is not read: %s", place, refusal)


def _named(places: Iterable[_Place]) -> Mapping[str, _Place]:
    return {str(place): place for place in places}


def _as_event(message: dict[str, Any], place: _Place) -> dict[str, Any]:
    """As it was before there were answers to it."""
    event = {**message, "channel": place.channel}
    if place.thread is None:
        event.pop("thread_ts", None)
    return event


def _moment(message: dict[str, Any]) -> float:
    try:
        return float(message["ts"])
    except (KeyError, TypeError, ValueError):
        return 0.0
