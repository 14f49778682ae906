"""Who writes a conversation's next summary, and the step that puts it there. Knows no model.

One process at a time has a conversation's summary, by a lease that ends unless it is kept. What it writes counts
only if the summaries are still those that it began with and memory holds, unchanged, every turn that it was made
of: a summary of what was forgotten meanwhile is never written. While somebody answers the conversation its
summaries stay as they are, since the answer's prompt was made of them.

A summary must not outlive what it tells: whoever changes, cuts off or forgets turns deletes the field `summary`.
"""

import hashlib
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

from core.errors import LeaseLost
from core.store.client import Client
from core.summary import Summaries, Summary
from core.turns import Conversation, Turn

_MOST_TURNS = 256
"""How many turns are folded at once. What lies before them is in memory, and in no summary."""


@dataclass(frozen=True, slots=True)
class Fold:
    """A summary that is ours to write: of `turns`, after what `summaries` tell already."""

    conversation: Conversation
    token: str
    summaries: Summaries
    turns: Sequence[Turn]
    first: int
    upto: int
    before: bytes = field(repr=False)
    digest: str


@dataclass(frozen=True, slots=True)
class Held:
    """Somebody else writes it, for `seconds` more unless that is renewed."""

    seconds: float


class Folds:
    """The summaries of one store. Everything here raises `StoreUnavailable`."""

    def __init__(self, client: Client, *, lease: float, beat_every: float) -> None:
        self.beat_every = beat_every
        self._client = client
        self._keys = client.keys
        self._records = client.records
        self._lease_ms = int(lease * 1000)

    async def take(self, conversation: Conversation, upto: int) -> Fold | Held | None:
        """Take the summary of a conversation, to fold its turns up to number `upto`. `None`: nothing is to be
        done, or whoever is answering it will say so again."""
        token = secrets.token_urlsafe(12)
        said, *answer = await self._client.run(
            "fold", self._of(conversation), *(token, self._lease_ms, upto, _MOST_TURNS), commit=True
        )
        if said == b"answered":
            return None
        if said == b"held":
            return Held(answer[0] / 1000)
        kept_from, records, before = answer
        summaries = self._records.summaries(before, conversation)
        first = max(kept_from, summaries.newest.upto + 1)
        records = records[first - kept_from :]
        digest = hashlib.sha1(b"".join(records), usedforsecurity=False).hexdigest()
        turns = self._records.turns(records, conversation)
        fold = Fold(conversation, token, summaries, turns, first, upto, before, digest)
        if turns:
            return fold
        await self.release(fold)
        return None

    async def keep(self, fold: Fold) -> None:
        """Renew the lease. Raises `LeaseLost`."""
        if await self._keep(fold, self._lease_ms) < 0:
            raise LeaseLost(f"somebody else summarises {fold.conversation}, or it was forgotten")

    async def release(self, fold: Fold) -> None:
        """Leave it to anybody."""
        await self._keep(fold, 0)

    async def write(self, fold: Fold, text: str) -> bool:
        """Put it there: prompts have it from the window's next jump on. False: it is out of date."""
        after = self._records.encode(replace(fold.summaries, next=Summary(text, fold.upto)))
        written = await self._client.run(
            "folded",
            self._of(fold.conversation),
            *(fold.token, fold.before, after, fold.first, fold.upto, fold.digest),
            commit=True,
        )
        return bool(written)

    async def _keep(self, fold: Fold, lease_ms: int) -> int:
        keys = self._of(fold.conversation)[:1]
        answer: int = await self._client.run("keep_fold", keys, fold.token, lease_ms, commit=True)
        return answer

    def _of(self, conversation: Conversation) -> list[str]:
        return [self._keys.conversation("c", conversation), self._keys.conversation("t", conversation)]
