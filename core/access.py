"""Who may talk to the bot, and where. Pure.

What is listed is written as `platform/kind/id`, with the platform's own ids: `discord/server/81384788765712384`,
`telegram/person/1234567`, `slack/channel/C024BE91L`, `discord/role/41771983423143936`. A Slack workspace is a
server.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from core.turns import Event

LISTED = r"^(discord|telegram|slack|web|terminal)/(person|role|channel|server)/.+$"


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """What is in `deny` is not answered. On a platform of which anything is in `allow`, nothing else is. `admins`
    (as `platform/id`) always are, and may set everything."""

    allow: frozenset[str] = frozenset()
    deny: frozenset[str] = frozenset()
    admins: frozenset[str] = frozenset()

    def admits(self, event: Event) -> bool:
        """Whether the event is for the bot to answer."""
        if self.is_admin(event) or not (self.allow or self.deny):
            return True
        found = set(_names(event))
        if found & self.deny:
            return False
        platform = f"{event.room.platform}/"
        return bool(found & self.allow) or not any(each.startswith(platform) for each in self.allow)

    def is_admin(self, event: Event) -> bool:
        return f"{event.room.platform}/{event.speaker.id}" in self.admins


def _names(event: Event) -> Iterator[str]:
    platform = event.room.platform
    yield f"{platform}/person/{event.speaker.id}"
    yield f"{platform}/channel/{event.conversation.place.split('/', 2)[2]}"
    if event.server:
        yield f"{platform}/server/{event.server}"
    for role in event.roles:
        yield f"{platform}/role/{role}"
