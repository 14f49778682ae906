"""What memory holds of a conversation."""

from dataclasses import dataclass, field
from typing import Literal

from core.turns.event import Attachment, Quote
from core.turns.room import Speaker

Role = Literal["user", "assistant"]

Cut = Literal["", "length", "time", "stopped", "shutdown", "failed"]
"""Why an answer ended early; empty: it did not."""


@dataclass(frozen=True, slots=True)
class Document:
    """What was read of a file that came with a message, as a model is shown it. `speaker` is the attachment's."""

    name: str = field(repr=False)
    text: str = field(repr=False)
    speaker: str = ""


@dataclass(frozen=True, slots=True)
class Cost:
    """What an answer took: the tokens of its `prompt`, of which `cached` did not have to be read, those that were
    `made`, and how many of these came a second; 0: too few to tell."""

    prompt: int
    cached: int
    made: int
    speed: float = 0.0


@dataclass(frozen=True, slots=True)
class Called:
    """A tool that the model has called while it answered: with `arguments`, a JSON object, and what came of it."""

    name: str
    arguments: str = field(repr=False)
    result: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Version:
    """An answer as it was written once: see `Turn`."""

    text: str = field(repr=False)
    count: int = 0
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    tokenizer: str = ""
    cut: Cut = ""
    votes: tuple[tuple[str, int], ...] = ()
    cost: Cost | None = None
    calls: tuple[Called, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Turn:
    """One message of a conversation, as memory holds it.

    `number` counts up by one within the conversation. `count` is the length of `text` in tokens, with that of the
    `calls` of tools that the answer was made with, and `token_ids` are the tokens that a model made of it, both by
    the tokenizer with the fingerprint `tokenizer`. `cut` says why an answer ended early, and `cost` what it took;
    `None`: nobody knows. `event` is the event that the turn came from or answers.

    `said` is a digest of what the person wrote, where a hook has made `text` of that; empty: they are the same.

    `shared` and `quotes` are those of the event, `documents` what was read of its files, and `pictures` those of
    them that a model has seen: it sees them while it answers this turn, and is told of them later. `messages` are
    the platform's ids of the messages in which it stands. `versions` are the other answers that were made in this
    place, in their order, and `version` is how many of them came before this one. `votes` are who liked it (1) and
    who did not (-1), by their ids.
    """

    number: int
    role: Role
    text: str = field(repr=False)
    speaker: Speaker | None = None
    event: str = ""
    at: float = 0.0
    count: int = 0
    token_ids: tuple[int, ...] = field(default=(), repr=False)
    tokenizer: str = ""
    cut: Cut = ""
    said: str = ""
    shared: bool = False
    quotes: tuple[Quote, ...] = ()
    documents: tuple[Document, ...] = ()
    pictures: tuple[Attachment, ...] = ()
    messages: tuple[str, ...] = ()
    versions: tuple[Version, ...] = ()
    version: int = 0
    votes: tuple[tuple[str, int], ...] = ()
    cost: Cost | None = None
    calls: tuple[Called, ...] = ()
