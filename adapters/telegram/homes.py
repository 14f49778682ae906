"""Which chat a group once was. Knows no SDK and no update.

A group that becomes a supergroup gets a new chat id. Its conversation stays that of the first id, for memory lies
there; replies go to the newest one.
"""

from collections import OrderedDict
from datetime import timedelta

from core.turns import Inbox

# Read again at least once per start of a listener, and each reading makes it new.
_KEPT = timedelta(days=400)
_REMEMBERED = 10_000  # chats per process
# A supergroup's id is below this; only supergroups were once something else.
_SUPERGROUP = -1_000_000_000_000


class Homes:
    """For one bot: `home` leads from a chat to the one that holds its memory, `now` to the one to write to."""

    def __init__(self) -> None:
        self._home: OrderedDict[int, int] = OrderedDict()
        self._now: OrderedDict[int, int] = OrderedDict()

    def now(self, chat: int) -> int:
        """The chat that `chat` has become, as far as this process has met it."""
        return self._now.get(chat, chat)

    def met(self, old: int, new: int) -> None:
        """`old` has become `new`: this process writes to `new` from now on."""
        _put(self._now, old, new)

    async def move(self, inbox: Inbox, bot: str, old: int, new: int) -> None:
        """`old` has become `new`: for ever, and for every process. Raises `StoreUnavailable`."""
        home = await self.home(inbox, bot, old)
        await inbox.set(_key(bot, new), str(home).encode(), expires=_KEPT)
        self.met(old, new)
        _put(self._home, new, home)

    async def home(self, inbox: Inbox, bot: str, chat: int) -> int:
        """The chat under which the conversations of `chat` are remembered. Raises `StoreUnavailable`."""
        if chat > _SUPERGROUP:
            return chat
        if chat not in self._home:
            kept = await inbox.get(_key(bot, chat))
            home = chat if kept is None else int(kept)
            if kept is not None:
                await inbox.set(_key(bot, chat), kept, expires=_KEPT)
            _put(self._home, chat, home)
        return self._home[chat]


def _key(bot: str, chat: int) -> str:
    return f"telegram/{bot}/home/{chat}"


def _put(cache: OrderedDict[int, int], key: int, value: int) -> None:
    cache[key] = value
    cache.move_to_end(key)
    if len(cache) > _REMEMBERED:
        cache.popitem(last=False)
