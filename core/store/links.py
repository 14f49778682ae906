"""Which accounts on several platforms are one person's, by their own word.

An account is `platform/id`. One asks for a code and another one brings it back: then both are joined under the
name of a link, which follows from nothing. Codes live ten minutes and are good once; what is kept of one is its
digest. What is joined is what the account says to the bot with which that was said, and not to another one of the
platform's; and its private place with that bot, since not everything that happens there says whose it is.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field
from typing import Literal

from core.store.client import Client
from core.store.records import Unreadable
from core.turns import Conversation

LINK = "link"
"""The command."""

LIFE = 600.0
"""Seconds for which a code is good."""

_LETTERS = "ABCDEFGHJKMNPQRSTUVWXYZ23456789"  # those that nobody takes for another one
_LENGTH = 8  # more than 10¹¹ codes, of which one account may try 20 a day


@dataclass(frozen=True, slots=True)
class Joined:
    """What came of a code. With `joined` there is the account that it is from, and the name of who has that."""

    how: Literal["joined", "unknown", "own", "other"]
    account: str = ""
    name: str = field(default="", repr=False)


class Links:
    """Those of one store. Everything here raises `StoreUnavailable`; what changes is on disk when it returns."""

    def __init__(self, client: Client) -> None:
        self._client = client
        self._links, self._codes = client.keys.links

    async def of(self, name: str) -> str:
        """The link of an account, of an account with one bot (see `with_bot`), or of a private place; or empty."""
        link: bytes | None = await self._client.ask("HGET", self._links, name, key=self._links)
        return "" if link is None else link.decode().partition(" ")[0]

    async def accounts(self, account: str) -> list[str]:
        """All accounts that are joined with this one, itself first."""
        link = await self.of(account)
        every = (await self.all()).items() if link else ()
        return [account, *sorted(name for name, of in every if of == link and name != account)]

    async def all(self) -> dict[str, str]:
        """All that `of` knows. Behind the link stands its account, where the name is not that."""
        every: dict[bytes, bytes] = await self._client.ask("HGETALL", self._links, key=self._links)
        return {name.decode(): link.decode() for name, link in every.items()}

    async def offer(self, account: str, place: str, name: str) -> str:
        """A new code with which another account may be joined with this one, in place of its last one. `name` is
        what people call whoever has the account."""
        letters = "".join(secrets.choice(_LETTERS) for _ in range(_LENGTH))
        said = self._client.records.encode_text(name)
        args = account, place, _here(account, place), _digest(letters), int(LIFE * 1000), said
        await self._client.run("link_offer", [self._codes], *args, commit=True)
        return f"{letters[:4]}-{letters[4:]}"

    async def join(self, account: str, place: str, code: str) -> Joined:
        """Join the account with the one that the code is from, wherever they talk to the bots with which that
        was said. `unknown`: there is no such code now; `own`: it is from the same place; `other`: the account is
        joined with others already."""
        args = account, place, _here(account, place), _digest(code), secrets.token_urlsafe(12)
        how, *found = await self._client.run("link_join", [self._links, self._codes], *args, commit=True)
        if how != b"joined":
            return Joined(how.decode())
        of, said = found
        try:
            name = self._client.records.decode_text(said)
        except Unreadable:
            name = ""
        return Joined("joined", of.decode(), name)

    async def leave(self, account: str) -> None:
        """The account is joined with none any more, and a code that is from it is good no more."""
        await self._client.run("link_leave", [self._links, self._codes], account, commit=True)

    async def put(self, name: str, link: str) -> None:
        """As `all` has told, where the account or place has no link."""
        await self._client.ask("HSETNX", self._links, name, link, key=self._links, commit=True)

    async def drop(self) -> None:
        """Nobody is joined with anybody any more."""
        await self._client.ask("DEL", self._links, self._codes, key=self._links, commit=True)


def with_bot(bot: str, person: str) -> str:
    """What somebody is called who talks to one bot: see `Conversation.account`."""
    return f"{bot}/@{person}"


def _here(account: str, place: str) -> str:
    return with_bot(Conversation(place).account, account.partition("/")[2])


def _digest(code: str) -> str:
    """Of what was typed, however it was."""
    letters = re.sub(r"[\W_]", "", code).upper()
    return hashlib.sha256(letters.encode()).hexdigest()
