"""Telegram for the contract suite."""

from types import TracebackType
from typing import Self

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from adapters.telegram.waiting import Waits
from core.store.store import Store
from tests.contracts.rig import BRISK, Replies
from tests.fakes.telegram import FakeTelegram


class TelegramRig:
    """One bot without privacy mode, so that it hears what it must not answer."""

    limit = 4096
    adapter: TelegramAdapter

    def __init__(self, store: Store, *, file_after: int = 0) -> None:
        self._store = store
        self._file_after = file_after
        self.fake = FakeTelegram(privacy=False)

    async def __aenter__(self) -> Self:
        await self.fake.__aenter__()
        settings = TelegramSettings(
            token=self.fake.token, api_base=self.fake.api_base, file_after=self._file_after
        )
        waits = Waits(first=0.01, longest=0.1)
        self.adapter = TelegramAdapter(settings, self._store.fleet, waits=waits, private_pace=BRISK)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.fake.__aexit__(kind, exc, trace)

    async def direct(self, text: str, *, person: str = "ann") -> str:
        return await self.fake.say(text, person=person)

    async def addressed(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        return await self.fake.say(f"@{self.fake.me['username']} {text}", person=person, room=room)

    async def about(self, text: str, to: str, *, person: str = "ann", room: str = "general") -> str:
        return await self.fake.say(f"@{self.fake.me['username']} {text}", person=person, room=room, reply_to=to)

    async def attached(self, text: str, name: str, data: bytes, kind: str, *, person: str = "ann") -> str:
        return await self.fake.say(person=person, caption=text, document=self.fake.upload(name, data, kind))

    async def overheard(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        return await self.fake.say(text, person=person, room=room)

    async def own_echo(self) -> None:
        for bot in (self.fake.me["username"], "weather_bot"):
            await self.fake.say(f"@{self.fake.me['username']} hello", person=f"@{bot}", room="bots")

    async def redeliver(self, message_id: str) -> None:
        await self.fake.redeliver(message_id)

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return self.fake.shown(room or person or "ann")

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]:
        where = room or person or "ann"
        await self.fake.until(lambda: predicate(self.fake.shown(where)), within=45.0)
        return self.fake.shown(where)

    async def remove_bot(self, room: str) -> None:
        await self.fake.forbid(room, "kicked")

    def controls(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return [button["text"] for button in self._buttons(room or person or "ann")]

    async def press(self, label: str, *, person: str = "ann", room: str | None = None) -> None:
        where = room or "ann"
        data = next(button["callback_data"] for button in self._buttons(where) if button["text"] == label)
        await self.fake.press(self._last(where), data, person=person)

    async def forge(self, what: str, *, person: str = "ann") -> None:
        await self.fake.press(self._last("ann"), what, person=person)

    async def until_told(self, sentence: str, *, person: str = "ann") -> None:
        await self.fake.until(lambda: sentence in self.fake.queries.values())

    def files(self, person: str = "ann") -> list[tuple[str, str]]:
        return self.fake.attached(person)

    def refuse_files(self) -> None:
        self.fake.api.takes_files = False

    async def edit(self, message_id: str, text: str) -> None:
        await self.fake.edited(message_id, text)

    async def command(self, name: str, text: str = "", *, person: str = "ann", room: str | None = None) -> None:
        await self.fake.say(f"/{name} {text}".strip(), person=person, room=room)

    def heard(self, *, person: str = "ann", room: str | None = None) -> list[str]:
        return self.fake.shown(room or person)

    async def until_said(self, part: str, *, person: str = "ann", room: str | None = None) -> None:
        await self.fake.until(
            lambda: any(part in text for text in self.heard(person=person, room=room)), within=45.0
        )

    def promote(self, person: str) -> None:
        self.fake.owners.add(person)

    def _buttons(self, where: str) -> list[dict[str, str]]:
        markup = self.fake.posted(where)[-1].get("reply_markup", {"inline_keyboard": []})
        return [button for row in markup["inline_keyboard"] for button in row]

    def _last(self, where: str) -> str:
        message = self.fake.posted(where)[-1]
        return f"{message['chat']['id']}/{message['message_id']}"
