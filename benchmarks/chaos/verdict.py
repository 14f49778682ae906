"""The verdict on what stands in a room: is each message answered once, whole, and in its turn? Pure.

It is read from the platform's transcript alone. Each word of a message names the message and its own place, so a
transcript says by itself what was answered, what of it twice, and what is missing.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, fields
from typing import Literal

ANSWER = "You said: "

Doubt = Literal["", "cut", "killed"]
"""Why nobody can know whether a message was sent: the platform `cut` its answer off after it had posted it, or the
sender was `killed` before it had recorded it. Empty: it can be known."""

_WORD = re.compile(r"n(\d+)w(\d+)")


@dataclass(frozen=True, slots=True)
class Said:
    """A message to be answered. `begun` and `taken` count the platform's own steps: when it was first brought to
    the bot, and when the bot first said that it has it. One that was taken before another was begun came first."""

    number: int
    text: str
    begun: int
    taken: int


@dataclass(frozen=True, slots=True)
class Post:
    """A message of the bot as it reads at the end."""

    text: str
    doubt: Doubt = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """`doubled` counts messages of the bot that say again what stands there already; `excused` are those of them
    that followed one in doubt. `strange` are messages of the bot that answer nothing."""

    messages: int = 0
    lost: int = 0
    doubled: int = 0
    excused: int = 0
    out_of_order: int = 0
    cut_short: int = 0
    strange: int = 0

    def __add__(self, other: "Verdict") -> "Verdict":
        return Verdict(*(getattr(self, field.name) + getattr(other, field.name) for field in fields(self)))

    @property
    def is_settled(self) -> bool:
        """Whether every message has its whole answer."""
        return not self.lost and not self.cut_short

    @property
    def is_clean(self) -> bool:
        """Whether every message has its whole answer, once and in its turn."""
        return self == Verdict(messages=self.messages)


@dataclass(frozen=True, slots=True)
class _Piece:
    """Words `start` to `end` of the answer to `number`, standing as the bot's message at `place`."""

    number: int
    start: int
    end: int
    place: int
    post: Post


def total(verdicts: Iterable[Verdict]) -> Verdict:
    return sum(verdicts, Verdict())


def judge(said: Sequence[Said], posts: Sequence[Post]) -> Verdict:
    """The verdict on one room: what people said there, and what the bot did, oldest first."""
    pieces: dict[int, list[_Piece]] = {message.number: [] for message in said}
    blank = strange = 0
    for place, post in enumerate(posts):
        piece = _piece(place, post)
        if post.text.strip() == ANSWER.strip() and post.doubt:
            blank += 1  # an answer's beginning, before its first word: nobody knew that it stands there
        elif piece is None or piece.number not in pieces:
            strange += 1
        else:
            pieces[piece.number].append(piece)
    first: dict[int, int] = {}
    lost = cut_short = 0
    doubled = excused = blank
    for message in said:
        mine = pieces[message.number]
        answer = _whole(message, mine)
        if not mine:
            lost += 1
            continue
        first[message.number] = (answer or mine)[0].place
        if answer is None:
            cut_short += 1
        again = len(mine) - len(answer or mine[:1])
        doubled += again
        excused += min(again, sum(bool(piece.post.doubt) for piece in mine))
    return Verdict(len(said), lost, doubled, excused, _overtaken(said, first), cut_short, strange)


def _piece(place: int, post: Post) -> _Piece | None:
    """What a post answers, if it is one run of one answer's words and nothing else."""
    text = " ".join(post.text.split())
    words = [(int(number), int(word)) for number, word in _WORD.findall(text)]
    if not words:
        return None
    number, start = words[0]
    run = [(number, start + offset) for offset in range(len(words))]
    written = (ANSWER if start == 0 else "") + " ".join(f"n{n}w{w}" for n, w in run)
    # What is altered is a piece of no length: it is part of no whole answer.
    end = start + len(words) if text == written else start
    return _Piece(number, start, end, place, post)


def _whole(message: Said, pieces: Sequence[_Piece]) -> list[_Piece] | None:
    """The pieces, in their order, that make the whole answer; `None` where there are none."""
    length = len(message.text.split())
    ways: dict[int, list[_Piece]] = {0: []}
    for piece in pieces:
        if piece.start in ways and piece.end > piece.start:
            ways.setdefault(piece.end, [*ways[piece.start], piece])
    return ways.get(length)


def _overtaken(said: Sequence[Said], first: dict[int, int]) -> int:
    """How many answers stand after one to a message that came later."""
    return sum(
        any(
            earlier.taken < later.begun and first[later.number] < first[earlier.number]
            for later in said
            if later.number in first
        )
        for earlier in said
        if earlier.number in first
    )
