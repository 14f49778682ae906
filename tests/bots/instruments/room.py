"""An adapter with one room, in this process: whatever is said into it is answered there."""

import asyncio

from adapters.recording import record
from core.turns import Conversation, Event, Inbox, Reply, Room, Speaker


class RoomAdapter:
    platform = "room"

    def __init__(self) -> None:
        self.said: asyncio.Queue[str] = asyncio.Queue()
        self.answered: asyncio.Queue[str] = asyncio.Queue()

    async def listen(self, inbox: Inbox) -> None:
        room = Room("room", "bot", {})
        number = 0
        while True:
            text = await self.said.get()
            number += 1
            await inbox.accept(
                Event(
                    id=f"room/bot/{number}",
                    room=room,
                    conversation=Conversation.of(room, "here"),
                    speaker=Speaker("ann"),
                    text=text,
                )
            )

    async def deliver(self, event: Event, reply: Reply) -> None:
        await record(reply)
        await self.answered.put(event.id)
