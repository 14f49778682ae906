"""The record that is a room by itself: the page and the terminal show what the store has of a reply, and are typed
into. Knows no socket, no screen and no store.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable

from core.commands import find
from core.turns import Kind, Reply

INTERVAL = 1 / 12
"""The least seconds between two drafts of a reply: faster than that nobody reads, and each is a write to disk."""

_COMMAND = re.compile(r"\s*/(\w+)(?:\s+(.*?))?\s*", re.DOTALL)


async def record(reply: Reply, waits: Callable[[str], Awaitable[None]] | None = None) -> None:
    """`Adapter.deliver` of such a room: what is recorded is shown. What a reply waits for is no part of it, and is
    not recorded: `waits` is told. Raises `LeaseLost` and `StoreUnavailable`."""
    async for draft in reply:
        if draft.pending and waits is not None:
            await waits(draft.text)
        if (draft.text and not draft.pending) or draft.final:
            await reply.showing(0, draft.text, len(draft.text), final=draft.final)
        if not draft.final:
            await asyncio.sleep(INTERVAL)  # what is written meanwhile is skipped: the newest text wins
    if not reply.parts or reply.parts[0].message is None:
        await reply.shown(0, reply.replaces[0] if reply.replaces else reply.key(0))


def typed(text: str) -> tuple[Kind, str]:
    """Kind and text of what a person typed. A command that takes no text is one only when it stands alone."""
    match = _COMMAND.fullmatch(text)
    command = find(match[1]) if match else None
    rest = match[2] or "" if match else ""
    if command is None or (rest and not command.argument):
        return "message", text
    return command.asked(rest)
