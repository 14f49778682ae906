"""What people are called in a workspace, their locales, and who of them administers it. What cannot be had in time
is left out: no message waits long."""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Iterable
from typing import NamedTuple

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters.slack.client import FAILURES, error_of

log = logging.getLogger(__name__)

_KEPT = 3600.0  # seconds
_KEPT_IN_VAIN = 300.0
_REMEMBERED = 5000
_AT_ONCE = 10  # lookups for one message
_WITHIN = 0.8  # seconds; an event must be ours within three


class _Known(NamedTuple):
    name: str
    locale: str
    manages: bool
    until: float


_NOBODY = _Known("", "", manages=False, until=0.0)


class Names:
    """What is known of users, remembered for an hour."""

    def __init__(self, client: AsyncWebClient) -> None:
        self._client = client
        self._known: OrderedDict[str, _Known] = OrderedDict()

    async def of(self, users: Iterable[str]) -> dict[str, str]:
        """The names that are known of `users`."""
        users = list(dict.fromkeys(users))
        now = asyncio.get_running_loop().time()
        missing = [user for user in users if self._known.get(user, _NOBODY).until <= now][:_AT_ONCE]
        if missing:
            try:
                async with asyncio.timeout(_WITHIN), asyncio.TaskGroup() as group:
                    for user in missing:
                        group.create_task(self._look_up(user), name="name")
            except TimeoutError:
                log.info("Slack takes too long to tell who somebody is; going on without")
        return {user: name for user in users if (name := self._known.get(user, _NOBODY).name)}

    def locale(self, user: str) -> str:
        """The user's locale, where `of` has found it: as "en-US"."""
        return self._known.get(user, _NOBODY).locale

    def manages(self, user: str) -> bool:
        """Whether `of` has found that the user administers the workspace."""
        return self._known.get(user, _NOBODY).manages

    async def _look_up(self, user: str) -> None:
        name, locale, manages, kept = "", "", False, _KEPT_IN_VAIN
        try:
            found = (await self._client.users_info(user=user, include_locale=True))["user"]
            name, locale, kept = _name(found), str(found.get("locale") or ""), _KEPT
            manages = bool(found.get("is_admin") or found.get("is_owner"))
        except FAILURES as exc:
            log.info("no name for %s: %s", user, error_of(exc) or type(exc).__name__)
        self._known[user] = _Known(name, locale, manages, asyncio.get_running_loop().time() + kept)
        self._known.move_to_end(user)
        if len(self._known) > _REMEMBERED:
            self._known.popitem(last=False)


def _name(user: dict[str, object]) -> str:
    profile = user.get("profile")
    shown = profile.get("display_name") if isinstance(profile, dict) else ""
    return str(shown or user.get("real_name") or user.get("name") or "")
