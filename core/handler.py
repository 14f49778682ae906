"""What is done about events that need no conversation's order, and what is said to that: help, votes, deletions,
settings and commands. Knows no platform and no model.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from babel.dates import format_date

from core import notices
from core.dialogue import Dialogue
from core.extension import Does
from core.languages import language_of, translated
from core.store.allowances import Allowances, Limits
from core.store.consents import Consents
from core.store.forget import Forget, Person
from core.store.links import LINK, Links
from core.store.places import LANGUAGE, MODEL, is_setting
from core.store.store import Store
from core.turns import Event, Turn

_LOOKS_AGAIN = 3  # who goes on talking while they are forgotten is not forgotten for ever
_COUNTED = 10_000  # turns of a conversation
_MOST_SAID = 4000  # characters of an export: what is more is a file, where the room takes files
_CODES = Limits(turns_per_minute=6, turns_per_day=21)  # the last one of each is not looked at

_NOT_JOINED = {"unknown": notices.LINK_UNKNOWN, "own": notices.LINK_OWN, "other": notices.LINK_OTHER}


class Said(NamedTuple):
    """What is answered; nothing where it is empty. `filed` is as in `core.turns.Draft`."""

    text: str
    filed: str = ""


class Handler:
    """For one store. `more` are commands besides those that are always there, by their names, and `models` those
    that can be chosen."""

    def __init__(
        self,
        store: Store,
        dialogue: Dialogue,
        more: Mapping[str, Does] | None = None,
        models: Collection[str] = (),
    ) -> None:
        self._store = store
        self._dialogue = dialogue
        self._models = models
        self._forget = Forget(store.client, store.inbox)
        self._consents = Consents(store.client)
        self._links = Links(store.client)
        self._allowances = Allowances(store.client)
        self._commands: dict[str, Callable[[Event, str], Awaitable[str | Said]]] = {
            "file": self._file,
            "stats": self._stats,
            "export": self._export,
            "consent": self._consent,
            LINK: self._link,
            "forget": self._forget_person,
            **(more or {}),
        }

    async def handle(self, event: Event) -> Said:
        """Do what the event asks for; what to say to that. Raises `StoreUnavailable` and what a command does."""
        if event.kind == "delete":
            for conversation in await self._store.whereabouts.of(event):
                await self._forget.message(conversation, event.target)
            return Said("")
        settings = await self._store.places.of(event.conversation)
        event = replace(event, locale=settings.get(LANGUAGE, event.locale))
        said = await self._answered(event)
        return said if isinstance(said, Said) else Said(said)

    async def _answered(self, event: Event) -> str | Said:
        match event.kind:
            case "vote":
                return translated(await self._vote(event), event.locale)
            case "refused":
                return notices.refused(event)
            case "setting":
                return translated(await self._set(event), event.locale)
            case "command":
                name, _, rest = event.text.partition(" ")
                command = self._commands.get(name)
                return await command(event, rest.strip()) if command else self._unknown(event)
            case _:
                return self._dialogue.notice(event)

    async def _vote(self, event: Event) -> str:
        vote = 1 if event.text == "up" else -1
        for wait in (0.0, 0.5, 2.0):  # where an answer stands is remembered a moment after it does
            await asyncio.sleep(wait)
            for conversation in await self._store.whereabouts.of(event):
                if await self._store.votes.cast(conversation, event.target, event.speaker.id, vote):
                    return notices.VOTED
        return notices.NOT_REMEMBERED

    async def _set(self, event: Event) -> str:
        name, _, value = event.text.partition(" ")
        if event.shared and not event.manages:
            return notices.NOT_THEIRS_TO_SET
        if name == MODEL and value == "default":
            value = ""
        if not is_setting(name, value) or (name == MODEL and value and value not in self._models):
            return notices.NO_SETTING
        await self._store.places.put(event.conversation, name, value)
        return notices.SET

    def _unknown(self, event: Event) -> str:
        return translated(notices.NO_COMMAND, event.locale)

    async def _file(self, event: Event, _rest: str) -> Said:
        turns = await self._store.memory.turns(event.conversation, _COUNTED)
        answer = next((turn.text for turn in reversed(turns) if turn.role == "assistant" and turn.text), "")
        if not answer:
            return Said(translated(notices.STATS_NOTHING, event.locale))
        return Said(answer, filed=translated(notices.FILED, event.locale))

    async def _stats(self, event: Event, _rest: str) -> str:
        turns, left = await self._remembered(event)
        turns += [turn for branch in left for turn in branch]
        if not turns:
            return translated(notices.STATS_NOTHING, event.locale)
        return translated(notices.STATS, event.locale).format(
            turns=len(turns),
            tokens=sum(turn.count for turn in turns),
            since=format_date(
                datetime.fromtimestamp(min(turn.at for turn in turns), UTC),
                "long",
                locale=language_of(event.locale),
            ),
        )

    async def _export(self, event: Event, _rest: str) -> Said:
        turns, left = await self._remembered(event)
        if not (turns or left):
            return Said(translated(notices.STATS_NOTHING, event.locale))
        lines = [self._dialogue.transcript(turn, event.locale) for turn in turns]
        for branch in left:
            lines.append(translated(notices.BRANCH, event.locale))
            lines += [self._dialogue.transcript(turn, event.locale) for turn in branch]
        text = "\n\n".join(lines)
        return Said(text, translated(notices.EXPORTED, event.locale) if len(text) > _MOST_SAID else "")

    async def _remembered(self, event: Event) -> tuple[list[Turn], list[list[Turn]]]:
        """The conversation as it goes on, and its branches."""
        memory = self._store.memory
        return await memory.turns(event.conversation, _COUNTED), await memory.branches(event.conversation)

    async def _consent(self, event: Event, rest: str) -> str:
        if rest.lower() not in {"yes", "no"}:
            return translated(notices.CONSENT, event.locale)
        agrees = rest.lower() == "yes"
        await self._consents.say(_speaker(event), agrees=agrees)
        return translated(notices.AGREED if agrees else notices.NOT_AGREED, event.locale)

    async def _link(self, event: Event, rest: str) -> str:
        """Where nobody else reads the code, and where who is there is said by the platform."""
        if event.alone or event.shared:
            return translated(notices.LINK_NOT_HERE if event.alone else notices.LINK_PRIVATE, event.locale)
        account, place = str(_speaker(event)), event.conversation.place
        if not rest:
            _, *joined = await self._links.accounts(account)
            code = await self._links.offer(account, place, event.speaker.name or event.speaker.id)
            return notices.link_code(account, joined, code, event.locale)
        if rest.lower() == "off":
            await self._links.leave(account)
            return translated(notices.LINK_OFF, event.locale)
        # Counted before it is looked at: who tries many at once has none for free.
        await self._allowances.use(f"link/{account}", _CODES, turns=1)
        if seconds := (await self._allowances.wait(f"link/{account}", _CODES)).seconds:
            return notices.used_up(seconds, event.locale)
        found = await self._links.join(account, place, rest)
        if found.how == "joined":
            return notices.linked(account, found.account, found.name, event.locale)
        return translated(_NOT_JOINED[found.how], event.locale)

    async def _forget_person(self, event: Event, rest: str) -> str:
        """Looks once more afterwards, since to have forgotten is to find nothing."""
        names = await self._links.accounts(str(_speaker(event)))
        others = notices.platforms(names[1:])
        if not re.fullmatch(r"\W*everything\W*", rest, re.IGNORECASE):
            return _also(translated(notices.FORGET, event.locale), notices.FORGET_LINKED, others, event.locale)
        accounts = [Person(*name.split("/", 1)) for name in names]
        for account in accounts:
            await self._consents.forget(account)
        count = await self._forget.person(*accounts)
        for _ in range(_LOOKS_AGAIN):
            if not await self._forget.person(*accounts):
                said = translated(notices.FORGOTTEN, event.locale).format(count=count)
                return _also(said, notices.FORGOTTEN_LINKED, others, event.locale)
        return translated(notices.NOT_FORGOTTEN, event.locale)


def _speaker(event: Event) -> Person:
    return Person(event.room.platform, event.speaker.id)


def _also(said: str, sentence: str, accounts: str, locale: str) -> str:
    """What was said, and `sentence` behind it where there are other accounts."""
    return f"{said} {translated(sentence, locale).format(accounts=accounts)}" if accounts else said
