"""What people are called in a workspace. A name that cannot be had in time is left out: no message waits long."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.client import FAILURES, error_of

log = logging.getLogger(__name__)

_KEPT = 3600.0  # seconds
_KEPT_IN_VAIN = 300.0
_REMEMBERED = 5000
_AT_ONCE = 10  # lookups for one message
_WITHIN = 0.8  # seconds; an event must be ours within three


class Names:
    """Users' names, remembered for an hour."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._known: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def of(self, users: Iterable[str]) -> dict[str, str]:
        """The names that are known of `users`."""
        users = list(dict.fromkeys(users))
        now = asyncio.get_running_loop().time()
        missing = [user for user in users if self._known.get(user, ("", 0.0))[1] <= now][:_AT_ONCE]
        if missing:
            try:
                async with asyncio.timeout(_WITHIN), asyncio.TaskGroup() as group:
                    for user in missing:
                        group.create_task(self._look_up(user), name="name")
            except TimeoutError:
                log.info("Slack takes too long to tell who somebody is; going on without")
        return {user: self._known[user][0] for user in users if self._known.get(user, ("", 0.0))[0]}

    async def _look_up(self, user: str) -> None:
        name, kept = "", _KEPT_IN_VAIN
        try:
            answer = await self._client.users_info(user=user)
            name, kept = _name(answer["user"]), _KEPT
        except FAILURES as exc:
            log.info("no name for %s: %s", user, error_of(exc) or type(exc).__name__)
        self._known[user] = (name, asyncio.get_running_loop().time() + kept)
        self._known.move_to_end(user)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _name(user: dict[str, object]) -> str:
    profile = user.get("profile")
    shown = profile.get("display_name") if isinstance(profile, dict) else ""
    return str(shown or user.get("real_name") or user.get("name") or "")
