"""Discord for the contract suite: a real adapter, and the loopback Discord that it talks to."""

from types import TracebackType
from typing import Literal, Self

from adapters.delivery import Pace
from adapters.discord.adapter import DiscordAdapter, DiscordSettings, Patience
from core.store.store import Store
from tests.contracts.rig import BRISK, Replies
from tests.fakes.discord import LIMIT, FakeDiscord

QUICK = Patience(
    first_wait=0.01, longest_wait=0.1, new_session=(0.0, 0.01), between_sessions=0.05, look_every=0.05
)


def settings_for(
    fake: FakeDiscord, *, file_after: int = 0, shards: int | Literal["auto"] = "auto"
) -> DiscordSettings:
    return DiscordSettings(
        token=fake.token,
        api_base=fake.api_base,
        gateway_url=fake.gateway_url,
        file_bases=(fake.file_base,),
        file_after=file_after,
        shards=shards,
    )


class DiscordRig:
    limit = LIMIT

    def __init__(self, store: Store, *, pace: Pace = BRISK, file_after: int = 0) -> None:
        self._store = store
        self._pace = pace
        self._file_after = file_after
        self.fake = FakeDiscord()
        self.adapter: DiscordAdapter

    async def __aenter__(self) -> Self:
        await self.fake.__aenter__()
        settings = settings_for(self.fake, file_after=self._file_after)
        self.adapter = DiscordAdapter(settings, self._store.fleet, patience=QUICK, pace=self._pace)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.fake.__aexit__(kind, exc, trace)

    async def direct(self, text: str, *, person: str = "ann") -> str:
        await self.fake.until_connected()
        return self.fake.say(text, person=person)

    async def addressed(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        await self.fake.until_connected()
        return self.fake.say(text, person=person, room=room, mention=True)

    async def about(self, text: str, to: str, *, person: str = "ann", room: str = "general") -> str:
        return self.fake.say(text, person=person, room=room, mention=True, reply_to=to)

    async def attached(self, text: str, name: str, data: bytes, kind: str, *, person: str = "ann") -> str:
        await self.fake.until_connected()
        return self.fake.say(text, person=person, uploads=[self.fake.upload(name, data, kind)])

    async def overheard(self, text: str, *, person: str = "ann", room: str = "general") -> str:
        await self.fake.until_connected()
        return self.fake.say(text, person=person, room=room)

    async def own_echo(self) -> None:
        await self.fake.until_connected()
        self.fake.bots_speak()

    async def redeliver(self, message_id: str) -> None:
        await self.fake.until_connected()
        self.fake.redeliver(message_id)

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return self.fake.shown(room or person or "ann")

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]:
        where = room or person or "ann"
        await self.fake.until(lambda: predicate(self.fake.shown(where)), within=45.0)
        return self.fake.shown(where)

    async def remove_bot(self, room: str) -> None:
        self.fake.remove_bot(room)

    def controls(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return [button["label"] for button in self._buttons(room or person or "ann")]

    async def press(self, label: str, *, person: str = "ann", room: str | None = None) -> None:
        await self.fake.until_connected()
        where = room or "ann"
        name = next(button["custom_id"] for button in self._buttons(where) if button["label"] == label)
        self.fake.press(self.fake.written(where)[-1].id, name, person=person)

    async def forge(self, what: str, *, person: str = "ann") -> None:
        self.fake.press(self.fake.written("ann")[-1].id, what, person=person)

    async def until_told(self, sentence: str, *, person: str = "ann") -> None:
        await self.fake.until(lambda: sentence in self.fake.whispered(person))

    def files(self, person: str = "ann") -> list[tuple[str, str]]:
        return self.fake.attached(person)

    def refuse_files(self) -> None:
        self.fake.rest.refuse_files = True

    async def ask(self, message_id: str, *, person: str = "ann") -> None:
        self.fake.ask(message_id, person=person)

    async def delete(self, message_id: str) -> None:
        self.fake.delete(message_id)

    async def edit(self, message_id: str, text: str) -> None:
        self.fake.edit(message_id, text)

    async def command(self, name: str, text: str = "", *, person: str = "ann", room: str | None = None) -> None:
        await self.fake.until_connected()
        self.fake.command(name, text or None, person=person, room=room)

    def heard(self, *, person: str = "ann", room: str | None = None) -> list[str]:
        return [*self.fake.shown(room or person), *self.fake.whispered(person)]

    async def until_said(self, part: str, *, person: str = "ann", room: str | None = None) -> None:
        await self.fake.until(
            lambda: any(part in text for text in self.heard(person=person, room=room)), within=45.0
        )

    def promote(self, person: str) -> None:
        self.fake.world.managers.add(person)

    def _buttons(self, where: str) -> list[dict[str, str]]:
        return [button for row in self.fake.written(where)[-1].components for button in row["components"]]
