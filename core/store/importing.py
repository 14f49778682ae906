"""Taking an export into a store: adds what is missing, changes nothing that is there, and may be repeated.

Turns are told apart by their numbers: of a conversation that the store knows, only those come in that follow its
last one. This is also the way from one number of shards to another.
"""

from collections.abc import Iterable, Sequence

import msgspec

from core import summary
from core.errors import CoreError, StoreUnavailable
from core.store.aside import Aside
from core.store.branches import branch
from core.store.client import Client
from core.store.export import FORMAT, Export, Exported, Linked, Place, Said, SetAside, Summary, Waiting
from core.store.inbox import StoreInbox
from core.store.links import Links
from core.store.places import PREFIX
from core.store.records import TitleRecord, forgotten
from core.store.titles import title_field
from core.turns import Conversation, Turn

_AT_ONCE = 100
_TRIES = 100

_lines = msgspec.json.Decoder(Exported)
encode_line = msgspec.json.Encoder().encode


class NoExport(CoreError):
    """What is to be imported is none of ours. The text names the line, and no word of it."""


class Importer:
    """Takes records into one store, which keeps `most` turns of a conversation."""

    def __init__(self, client: Client, inbox: StoreInbox, *, most: int) -> None:
        self._client = client
        self._keys = client.keys
        self._records = client.records
        self._inbox = inbox
        self._aside = Aside(client, inbox)
        self._most = most
        self._turns: list[Said] = []

    async def read(self, lines: Iterable[bytes]) -> int:
        """Import JSON Lines; answers how many there were. On disk when this returns.

        Raises `NoExport`, and `StoreUnavailable` and `Overloaded`: what came before is imported then.
        """
        number = 0
        for number, line in enumerate(lines, 1):
            try:
                record = _lines.decode(line)
            except msgspec.MsgspecError:
                raise NoExport(f"line {number} is not one of an export") from None
            if number == 1 and not isinstance(record, Export):
                raise NoExport("the first line does not say that this is an export")
            await self._take(record)
        await self._flush()
        return number

    async def _take(self, record: Exported) -> None:
        if isinstance(record, Said):
            before = self._turns[0] if self._turns else record
            is_full = len(self._turns) >= _AT_ONCE and not record.branch
            if is_full or _where(before) != _where(record):
                await self._flush()
            self._turns.append(record)
            return
        await self._flush()
        match record:
            case Export(format=kind):
                if kind > FORMAT:
                    raise NoExport(f"the export has the form {kind}, and this program knows {FORMAT}")
            case Summary(place=place, thread=thread, text=text, upto=upto):
                key = self._keys.conversation("c", Conversation(place, thread))
                summaries = self._records.encode(summary.Summaries(summary.Summary(text, upto)))
                await self._client.ask("HSETNX", key, "summary", summaries, key=key, commit=True)
            case Place(place=place, persona=persona, server=server, settings=settings, titles=titles):
                key = self._keys.place(Conversation(place))
                await self._set(key, persona=persona)
                if server:
                    await self._client.ask("HSETNX", key, "server", server, key=key, commit=True)
                for name, value in settings.items():
                    await self._client.ask("HSETNX", key, PREFIX + name.encode(), value, key=key, commit=True)
                for thread, title in titles.items():
                    field = title_field(Conversation(place, thread))
                    data = self._records.encode(TitleRecord(*title))
                    await self._client.ask("HSETNX", key, field, data, key=key, commit=True)
            case Waiting(event=event):
                await self._inbox.accept(event)
            case Linked(name=name, link=link):
                await Links(self._client).put(name, link)
            case SetAside(event=event, tries=tries):
                await self._aside.put(event, tries)

    async def _set(self, key: str, **texts: str) -> None:
        for name, text in texts.items():
            if text:
                await self._client.ask("HSETNX", key, name, self._records.encode_text(text), key=key, commit=True)

    async def _flush(self) -> None:
        if not self._turns:
            return
        conversation = _where(self._turns[0])
        turns = sorted((said.turn for said in self._turns), key=lambda turn: turn.number)
        is_branch = bool(self._turns[0].branch)
        self._turns = []
        state, memory = (self._keys.conversation(kind, conversation) for kind in ("c", "t"))
        if is_branch:
            # It comes as a whole where there is none.
            if await self._client.ask("EXISTS", memory, key=memory):
                return
            await self._client.ask("DEL", state, key=state, commit=True)
        for _ in range(_TRIES):
            last = int(await self._client.ask("HGET", state, "last", key=state) or 0)
            kept: int = await self._client.ask("LLEN", memory, key=memory)
            new = [turn for turn in turns if turn.number > last]
            if not new:
                return
            whole = _without_gaps(new, last if kept else new[0].number - 1, self._most)
            records = map(self._records.encode, whole)
            if await self._client.run(
                "import", [state, memory], last, new[-1].number, self._most, *records, commit=True
            ):
                break
        else:
            raise StoreUnavailable(f"{conversation} changes all the time")
        if is_branch:  # which has a list of turns and no more
            await self._client.ask("DEL", state, key=state, commit=True)


def _where(said: Said) -> Conversation:
    return branch(Conversation(said.place, said.thread), said.branch)


def _without_gaps(turns: Sequence[Turn], last: int, most: int) -> Iterable[Turn]:
    """What follows the turn number `last`, with an empty turn for each that is missing of the last `most`."""
    for turn in turns:
        for number in range(max(last + 1, turn.number - most), turn.number):
            yield forgotten(number, None)
        last = turn.number
        yield turn
