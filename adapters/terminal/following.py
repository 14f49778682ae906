"""Waiting for the answer to one event, wherever it is written. Knows no terminal."""

import asyncio
from collections.abc import Awaitable, Callable

from adapters.terminal.words import NO_ANSWER
from core.errors import CoreError
from core.turns import Conversation, Draft, Inbox

_RECENT = 32

Draw = Callable[[Draft], None]


class NoAnswer(CoreError):
    """Nothing was heard of an answer for as long as we were told to be patient."""

    reply = NO_ANSWER


async def follow(
    inbox: Inbox,
    conversation: Conversation,
    event_id: str,
    draw: Draw,
    *,
    patience: float,
    begin: Callable[[], Awaitable[bool]] | None = None,
) -> None:
    """Draw the answer to `event_id` until it is final.

    `begin` (accept it) is done once we watch, so that nothing of the answer is missed. Raises `NoAnswer` after
    `patience` seconds of silence, and whatever inbox and `begin` raise.
    """
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(patience) as silence, inbox.watch(conversation) as changes:
            again = begin is not None and not await begin()
            if again and (text := await _remembered(inbox, conversation, event_id)) is not None:
                draw(Draft(text, final=True))
                return
            async for shown in changes:
                silence.reschedule(loop.time() + patience)
                if shown.event == event_id:
                    draw(Draft(shown.text, shown.final))
                    if shown.final:
                        return
                elif (text := await _remembered(inbox, conversation, event_id)) is not None:
                    # A later answer is being written already: the end of ours was skipped.
                    draw(Draft(text, final=True))
                    return
    except TimeoutError:
        raise NoAnswer(f"no answer to {event_id} for {patience:g} s") from None


async def _remembered(inbox: Inbox, conversation: Conversation, event_id: str) -> str | None:
    turns = await inbox.turns(conversation, _RECENT)
    return next((turn.text for turn in turns if turn.role == "assistant" and turn.event == event_id), None)
