"""What the adapters are called. One of a platform by itself has the platform's name; of several, each for a bot
account of its own, the others have names that begin with the platform's: "telegram", "telegram/support".
"""

from core.turns import Conversation


class Names:
    """Which adapter a conversation is for. `know` tells of those whose account is known before they begin."""

    def __init__(self) -> None:
        self._names: dict[str, str] = {}

    def know(self, account: str, name: str) -> None:
        """The bot `account`, as in `Conversation.account`, is the adapter `name`'s."""
        self._names[account] = name

    def of(self, conversation: Conversation) -> str:
        """Of a platform whose accounts are known, one that is not has no adapter: its own name is nobody's."""
        account, platform = conversation.account, conversation.platform
        if (name := self._names.get(account)) is not None:
            return name
        return account if any(platform_of(known) == platform for known in self._names.values()) else platform


def platform_of(name: str) -> str:
    return name.partition("/")[0]
