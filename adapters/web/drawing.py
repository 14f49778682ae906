"""What a page is shown of its conversation: the history, and each reply while it is written.

All of it comes through the inbox, from whatever process writes it. A slow browser is sent fewer drafts: the next
one is looked at only when the last one has left.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from adapters.web import frames
from adapters.web.events import Chat, exchange_of, key_of_event, kind_of_key
from adapters.web.foot import foot
from adapters.web.library import Library
from adapters.web.markup import blocks
from adapters.web.pages import version
from adapters.web.settings import WebSettings
from core.languages import msgid, translated
from core.turns import Cut, Inbox, Shown, Turn

Send = Callable[[frames.ToBrowser], Awaitable[None]]

_TURNS = 100
_NEWEST = 6  # among so many of the last turns stands the answer that was just written
_HELD_EVENTS = 1000
_REST = 4
_AGAIN = ":show"  # what is shown anew where somebody may have overwritten it; nobody can what is recorded

_CUT: dict[Cut, str] = {
    "stopped": msgid("_Stopped._"),
    "shutdown": msgid("_Cut short by a restart._"),
    "length": msgid("_(This answer reached its length limit.)_"),
    "time": msgid("_(This answer took too long and ends here.)_"),
    "failed": msgid("_(This answer was broken off.)_"),
}


class Drawing:
    """One page's. `settled` is set unless a reply is on its way to the page; `forgotten` is called when something
    was taken out of memory."""

    def __init__(
        self,
        inbox: Inbox,
        library: Library,
        chat: Chat,
        send: Send,
        forgotten: Callable[[], None],
        settings: WebSettings,
        locale: str,
    ) -> None:
        self.settled = asyncio.Event()
        self.settled.set()
        self._inbox = inbox
        self._library = library
        self._chat = chat
        self._send = send
        self._forgotten = forgotten
        self._settings = settings
        self._locale = locale
        self._known: dict[str, None] = {}
        self._under_way = ""
        self._drawn: tuple[str, Sequence[str]] = ("", ())

    async def run(self) -> None:
        """Show the history and then what is written, until the inbox ends. Raises what that raises."""
        async with self._inbox.watch(self._chat.conversation) as changes:
            await self._send_history()
            async for shown in changes:
                await self._show(shown)

    def remember(self, key: str) -> None:
        """The page has that."""
        self._known[key] = None
        if len(self._known) > _HELD_EVENTS:
            del self._known[next(iter(self._known))]

    async def _show(self, shown: Shown) -> None:
        key = key_of_event(shown.event, self._chat)
        kind = kind_of_key(key)
        if key.endswith(_AGAIN):
            return
        if kind == "vote":
            await self._send(frames.Told(shown.text))
            return
        if key not in self._known or self._under_way not in {"", key}:
            # Another page of this owner has spoken, or the end of the reply before was skipped.
            await self._send_history()
            self.remember(key)
        answer = await self._answer(exchange_of(key)) if shown.final else None
        if shown.final and exchange_of(key) != key and not _reads(answer, shown.text):
            await self._send(frames.Told(shown.text, exchange_of(key)))  # and this is why not
            return
        began = time.perf_counter()
        new = blocks(shown.text, final=shown.final)
        spent = time.perf_counter() - began
        keep = _same(self._drawn[1], new) if self._drawn[0] == key else 0
        self._drawn = (key, new)
        self.settled.clear()
        under = None if answer is None else self._foot(answer)
        await self._send(frames.Drawn(exchange_of(key), keep, list(new[keep:]), shown.final, under))
        self._under_way = "" if shown.final else key
        if shown.final:
            self.settled.set()
            await self._show_what_changed(kind)
        else:
            await asyncio.sleep(spent * _REST)  # a long answer is drawn less often, and others get their turn

    async def newest(self) -> str:
        """The last message that was answered; empty where none is remembered."""
        for turn in reversed(await self._inbox.turns(self._chat.conversation, _NEWEST)):
            if turn.role == "assistant":
                return key_of_event(turn.event, self._chat)
        return ""

    async def _show_what_changed(self, kind: str) -> None:
        """What was said reads otherwise, or is gone, after some of what a person can do."""
        if kind == "edit":
            await self._send_history(only=True)
        elif kind == "undo" or (kind == "command" and not await self._inbox.turns(self._chat.conversation, 1)):
            await self._send_history(only=True)
            self._forgotten()

    async def _answer(self, message: str) -> Turn | None:
        """The answer to a message, as memory has it."""
        for turn in reversed(await self._inbox.turns(self._chat.conversation, _NEWEST)):
            if turn.role == "assistant" and key_of_event(turn.event, self._chat) == message:
                return turn
        return None

    async def _send_history(self, *, only: bool = False) -> None:
        lines = []
        for turn in await self._inbox.turns(self._chat.conversation, _TURNS):
            lines.append(self._line(turn))
            await asyncio.sleep(0)  # others' turn: a hundred answers take a while to be made HTML
        for line in lines:
            self.remember(line.key)
        self._drawn = ("", ())
        limits = self._settings.max_message, self._settings.max_file
        persona = await self._library.persona(self._chat.conversation)
        page = version(self._settings.title, self._settings.model)
        await self._send(frames.History(self._chat.id, lines, *limits, persona, only, page))

    def _line(self, turn: Turn) -> frames.Line:
        key = key_of_event(turn.event, self._chat)
        if turn.role == "user":
            files = [document.name for document in turn.documents] + [each.name for each in turn.pictures]
            return frames.Line(key, "user", _as_typed(key, turn.text), files, waiting=turn.number == 0)
        safe = [
            *blocks(turn.text, final=True),
            *blocks(translated(_CUT.get(turn.cut, ""), self._locale), final=True),
        ]
        return frames.Line(key, "assistant", blocks=safe, foot=self._foot(turn))

    def _foot(self, answer: Turn) -> frames.Foot:
        return foot(answer, self._chat.owner, self._locale, buttons=self._settings.buttons)


def _reads(answer: Turn | None, text: str) -> bool:
    """Whether the answer now reads `text`, apart from a word of ours under it."""
    return answer is not None and text.startswith(answer.text.rstrip())


def _same(old: Sequence[str], new: Sequence[str]) -> int:
    """How many blocks at the beginning are the same."""
    return next((i for i, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))


def _as_typed(key: str, text: str) -> str:
    _, _, kind = key.partition("/")
    return f"/{kind} {text}".rstrip() if kind else text
