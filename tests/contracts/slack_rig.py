"""Slack for the contract suite: one app in Socket Mode."""

from types import TracebackType
from typing import Self

from adapters.markdown import plain
from adapters.slack.adapter import SlackAdapter, SlackSettings
from adapters.slack.markup import LIMIT
from adapters.slack.waiting import Waits
from core.store.store import Store
from tests.contracts.rig import BRISK, Replies
from tests.fakes.slack import FakeSlack
from tests.fakes.slack_world import BOT, Json


class SlackRig:
    """The bot is in every channel that is spoken of."""

    limit = LIMIT
    adapter: SlackAdapter

    def __init__(self, store: Store, *, file_after: int = 0) -> None:
        self._store = store
        self._file_after = file_after
        self.fake = FakeSlack()

    async def __aenter__(self) -> Self:
        await self.fake.__aenter__()
        settings = SlackSettings(
            bot_token=self.fake.bot_token,
            app_token=self.fake.app_token,
            api_base=self.fake.api_base,
            file_base=self.fake.file_base,
            file_after=self._file_after,
        )
        waits = Waits(first=0.01, longest=0.1)
        self.adapter = SlackAdapter(settings, self._store.fleet, waits=waits, pace=BRISK, stream_pace=BRISK)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.fake.__aexit__(kind, exc, trace)

    async def direct(self, text: str, *, person: str = "ann") -> str:
        return await self.fake.say(text, person=person)

    async def addressed(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        return await self.fake.say(f"@trialogue {text}", person=person, room=room)

    async def about(self, text: str, to: str, *, person: str = "ann", room: str = "general") -> str:
        return await self.fake.say(f"@trialogue {text}", person=person, room=room, thread=to)

    async def attached(self, text: str, name: str, data: bytes, kind: str, *, person: str = "ann") -> str:
        files = [self.fake.upload(name, data, kind)]
        return await self.fake.say(text, person=person, subtype="file_share", files=files)

    async def overheard(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        return await self.fake.say(text, person=person, room=room)

    async def own_echo(self) -> None:
        self.fake.own_event("@trialogue hello", room="bots")
        await self.fake.bot_says("@trialogue hello", room="bots")

    async def redeliver(self, message_id: str) -> None:
        await self.fake.redeliver(message_id)

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return [plain(text) for text in self.fake.shown(room or person or "ann")]

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]:
        where = room or person or "ann"
        await self.fake.until(lambda: predicate([plain(text) for text in self.fake.shown(where)]), within=45.0)
        return await self.replies(person=person, room=room)

    async def remove_bot(self, room: str) -> None:
        await self.fake.remove_bot(room)

    def controls(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return [label for label, _ in self._elements(room or person or "ann")]

    async def press(self, label: str, *, person: str = "ann", room: str | None = None) -> None:
        where = room or "ann"
        element = next(each for reads, each in self._elements(where) if reads == label)
        await self.fake.press(self._last(where)["ts"], element, person=person)

    async def forge(self, what: str, *, person: str = "ann") -> None:
        element = {"action_id": "trialogue/regenerate", "value": what}
        await self.fake.press(self._last("ann")["ts"], element, person=person)

    async def until_told(self, sentence: str, *, person: str = "ann") -> None:
        user = self.fake.user(person)["id"]
        await self.fake.until(
            lambda: any(each["user"] == user and each["text"] == sentence for each in self.fake.ephemeral)
        )

    def files(self, person: str = "ann") -> list[tuple[str, str]]:
        return self.fake.attached(person)

    def refuse_files(self) -> None:
        self.fake.api.scopes.discard("files:write")

    async def ask(self, message_id: str, *, person: str = "ann") -> None:
        await self.fake.ask(message_id, person=person)

    async def delete(self, message_id: str) -> None:
        await self.fake.deleted(message_id)

    async def edit(self, message_id: str, text: str) -> None:
        await self.fake.edited(message_id, text)

    async def command(self, name: str, text: str = "", *, person: str = "ann", room: str | None = None) -> None:
        said = f"!{name} {text}".strip()
        if room is None:
            await self.fake.say(said, person=person)
        else:
            await self.fake.say(f"@trialogue {said}", person=person, room=room)

    def heard(self, *, person: str = "ann", room: str | None = None) -> list[str]:
        return [plain(text) for text in self.fake.shown(room or person)]

    async def until_said(self, part: str, *, person: str = "ann", room: str | None = None) -> None:
        await self.fake.until(
            lambda: any(part in text for text in self.heard(person=person, room=room)), within=45.0
        )

    def promote(self, person: str) -> None:
        self.fake.user(person)["is_admin"] = True

    def _last(self, where: str) -> Json:
        place = self.fake.direct(where) if where == "ann" else self.fake.place(where)
        return [message for message in place.messages.values() if message.get("user") == BOT][-1]

    def _elements(self, where: str) -> list[tuple[str, Json]]:
        """What each element reads, and what pressing it says."""
        found: list[tuple[str, Json]] = []
        for element in (each for block in self._last(where)["blocks"] for each in block.get("elements", ())):
            if element["type"] == "button":
                buttons = [(element["text"]["text"], element["value"])]
            else:
                both = element["positive_button"], element["negative_button"]
                buttons = [(button["text"]["text"], button["value"]) for button in both]
            found += [(reads, {"action_id": element["action_id"], "value": value}) for reads, value in buttons]
        return found
