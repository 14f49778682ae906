"""What the model is to answer, and what becomes of its answer: a message, one that was changed, or an answer that
is made anew, gone on with, or exchanged for an earlier one. Pure: no store, no model.
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from hashlib import sha256
from itertools import pairwise
from typing import Any

from core import notices
from core.scope import is_one_persons
from core.turns import Event, Turn, Version

MOST_VERSIONS = 10
"""How many answers of one place are kept. The oldest go."""


class NotPossible(Exception):
    """What the person asks for cannot be done. The text says why, to that person."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Question:
    """`asked` is the person's turn as memory is to hold it, and `window` the turns before it. `before` is the
    answer that stands there already, whose place the new one takes; `so_far` is how the new one begins. `cut` is
    how many of the last turns in memory the two take the place of."""

    asked: Turn
    window: Sequence[Turn]
    before: Turn | None = None
    so_far: str = ""
    cut: int = 0

    def answered(self, answer: Version) -> Turn:
        """The answer as memory is to hold it."""
        number, event = self.asked.number + 1, self.asked.event
        turn = Turn(number=number, role="assistant", text="", event=event, at=time.time())
        turn = _reading(turn, answer)
        if self.before is None:
            return turn
        turn = replace(turn, messages=self.before.messages)
        if self.so_far:
            return replace(turn, versions=self.before.versions, version=self.before.version)
        # One that was ended before its first word is none.
        others = [each for each in _versions(self.before) if each.text.strip()][1 - MOST_VERSIONS :]
        return replace(turn, versions=tuple(others), version=len(others))


def question(event: Event, window: Sequence[Turn], last: int) -> Question:
    """What is asked by a message, by an edit, or by the actions "regenerate" and "continue", where `window` ends
    with the conversation's turn number `last`. Raises `NotPossible`."""
    if event.kind == "message":
        messages = (event.message, *event.also) if event.message else ()
        asked = Turn(
            number=last + 1,
            role="user",
            text=event.text,
            speaker=event.speaker,
            event=event.id,
            at=event.at,
            shared=event.shared,
            quotes=event.quotes,
            messages=messages,
        )
        return Question(asked=asked, window=window)
    asked, answer = newest(event, window)
    so_far = ""
    if event.kind == "edit":
        asked = replace(asked, text=event.text, said="", count=0, tokenizer="")
    elif event.text == "continue":
        so_far = answer.text
    cut = taken_back(asked, last)
    return Question(asked=asked, window=window[:-2], before=answer, so_far=so_far, cut=cut)


def changes(event: Event, window: Sequence[Turn]) -> bool:
    """Whether an edit of the last question in `window` changes it. Platforms report some that change no word, of
    what was said there: a hook may have made something else of it."""
    try:
        asked, _ = newest(event, window)
    except NotPossible:
        return False
    return _digest(event.text) != (asked.said or _digest(asked.text))


def heard(asked: Turn, text: str) -> Turn:
    """`asked` with the `text` that hooks have made of what was said."""
    return replace(asked, text=text, said="" if text == asked.text else _digest(asked.text))


def _digest(text: str) -> str:
    """What tells a text from others. What a hook took out of it must not be kept anywhere."""
    return sha256(text.encode()).hexdigest()


def taken_back(asked: Turn, last: int) -> int:
    """How many turns there are from `asked` on: what was forgotten behind it still has its number."""
    return last - asked.number + 1


def newest(event: Event, window: Sequence[Turn]) -> tuple[Turn, Turn]:
    """The last question and its answer, if `event` is about them and by whoever asked. Raises `NotPossible`."""
    pairs = list(pairwise(window))
    if event.target:
        about = 0 if event.kind == "edit" else 1  # the question; all else is done to the answer
        pairs = [pair for pair in pairs if event.target in pair[about].messages]
    found = pairs[-1] if pairs else None
    if found is None or found[1].role != "assistant":
        raise NotPossible(notices.NOT_REMEMBERED)
    asked, answer = found
    if asked.speaker is None or not (asked.speaker.id == event.speaker.id or is_one_persons(event.conversation)):
        raise NotPossible(notices.NOT_YOURS)
    if event.kind == "edit" and len(asked.messages) > 1:  # nobody knows any more which of its words those were
        raise NotPossible(notices.NOT_REMEMBERED)
    if answer is not window[-1]:
        raise NotPossible(notices.NOT_THE_NEWEST)
    return asked, answer


def standing(message: str, window: Sequence[Turn]) -> Turn | None:
    """The answer that stands in the platform's message of that id, as far as `window` goes back."""
    answers = [turn for turn in window if turn.role == "assistant" and message in turn.messages]
    return answers[-1] if answers else None


def needs_the_model(event: Event, answer: Turn) -> bool:
    """Whether what is done to `answer` is more than to look at another version of it."""
    match event.kind, event.text:
        case "act", "continue":
            return bool(answer.cut)
        case ("act", "previous" | "next") | ("show", _):
            return False
        case _:
            return True


def turned(event: Event, answer: Turn) -> Turn:
    """The answer's place in memory with the version that was asked for; where there is none, as it is."""
    every = _versions(answer)
    by = {"previous": -1, "next": 1}.get(event.text, 0)
    chosen = min(max(answer.version + by, 0), len(every) - 1)
    others = tuple(every[:chosen] + every[chosen + 1 :])
    return replace(_reading(answer, every[chosen]), versions=others, version=chosen)


def _versions(answer: Turn) -> list[Version]:
    """All answers of its place, in their order."""
    this = Version(**_as_version(answer))
    return [*answer.versions[: answer.version], this, *answer.versions[answer.version :]]


def _reading(turn: Turn, version: Version) -> Turn:
    return replace(turn, **_as_version(version))


def _as_version(answer: Turn | Version) -> dict[str, Any]:
    """What of an answer belongs to one version of it."""
    return {field.name: getattr(answer, field.name) for field in fields(Version)}
