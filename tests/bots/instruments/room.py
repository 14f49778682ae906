"""An adapter with one room, in this process: whatever is said into it is answered there."""

import asyncio

from adapters.recording import record
from core.turns import Conversation, Event, Inbox, Reply, Room, Speaker

ROOM = Room("room", "bot", {})
HERE = Conversation.of(ROOM, "here")


class RoomAdapter:
    platform = "room"
    bot = "bot"

    def __init__(self) -> None:
        self._said: asyncio.Queue[tuple[str, Conversation]] = asyncio.Queue()
        self.answered: asyncio.Queue[str] = asyncio.Queue()

    def say(self, text: str, where: Conversation = HERE) -> None:
        self._said.put_nowait((text, where))

    async def listen(self, inbox: Inbox) -> None:
        number = 0
        while True:
            text, where = await self._said.get()
            number += 1
            await inbox.accept(
                Event(
                    id=f"room/bot/{number}",
                    room=ROOM,
                    conversation=where,
                    speaker=Speaker("ann"),
                    text=text,
                )
            )

    async def deliver(self, event: Event, reply: Reply) -> None:
        await record(reply)
        await self.answered.put(event.id)
