"""The running summary of what a prompt has no room for any more. Pure: counting is passed in.

Older turns are folded into it before the window jumps over them, and only a jump changes what prompts show:
between two jumps the prompt's beginning stays as it is. What was folded stays in memory.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise

from core.engine.engine import Message
from core.turns import Turn

AFTER_A_JUMP = 0.6
"""The share of the budget that a prompt takes after the window's start has jumped."""

_FOLD_FROM = 0.7  # of the budget: a turn or two before the jump
_LONGEST = 256  # tokens
_CLIPPED = 2000  # characters of one turn; of what is longer its beginning and end are read

_INSTRUCTION = (
    "You keep the notes of a conversation. Write one short summary of it: who wants what, names, facts, numbers, "
    "decisions, and what is still open. Leave out greetings. Write in the language of the conversation, at most "
    "{words} words, and nothing but the summary."
)

Count = Callable[[Sequence[Message]], int]


@dataclass(frozen=True, slots=True)
class Summary:
    """What was said up to the turn number `upto`, in a few words."""

    text: str = field(default="", repr=False)
    upto: int = 0


@dataclass(frozen=True, slots=True)
class Summaries:
    """Of one conversation: prompts have `shown` since the window's last jump, and `next` from the next one on."""

    shown: Summary = Summary()
    next: Summary | None = None

    @property
    def newest(self) -> Summary:
        return self.next or self.shown

    def after_a_jump(self) -> "Summaries":
        return Summaries(self.newest)

    def before(self, number: int) -> "Summaries":
        """Those that tell of no turn from `number` on; these themselves where none does."""
        if self.newest.upto < number:
            return self
        return Summaries(self.shown) if self.shown.upto < number else NO_SUMMARIES


NO_SUMMARIES = Summaries()


def longest(budget: int) -> int:
    """How many tokens a summary may take of prompts of at most `budget` tokens."""
    return max(1, min(_LONGEST, budget // 8))


def due(window: Sequence[Turn], summaries: Summaries, *, used: int, budget: int) -> int | None:
    """The number of the turn up to which to fold now, so that the window can begin after it at the next jump.

    `window` is what the next prompt would have, and `used` its length. `None`: it is too early, or done.
    """
    if used < budget * _FOLD_FROM:
        return None
    goes = budget * (1 - AFTER_A_JUMP) + (0 if summaries.shown.text else longest(budget))
    for turn, following in pairwise(window):
        goes -= turn.count
        if goes <= 0 and following.role == "user":
            return turn.number if turn.number > summaries.newest.upto else None
    return None


def request(
    before: str, turns: Sequence[Turn], *, name: str, words: int, count: Count, room: int
) -> tuple[Message, ...] | None:
    """What a model is asked, in at most `room` tokens, so that it writes the summary of `before` and the `turns`
    after it; `name` is the model's own. The oldest turns are left out where not all fit. `None`: not even the last
    one does."""
    lines = [f"{_speaker(turn, name)}: {_clipped(turn.text)}" for turn in turns if turn.text]

    def attempt(first: int) -> tuple[Message, ...]:
        earlier = f"The summary so far:\n{before}\n\n" if before else ""
        said = "\n".join(lines[first:])
        return (
            Message("system", _INSTRUCTION.format(words=words)),
            Message("user", f"{earlier}What was said then:\n{said}\n\nWrite the new summary of all of it."),
        )

    low, high = 0, len(lines)
    while low < high:
        middle = (low + high) // 2
        if count(attempt(middle)) <= room:
            high = middle
        else:
            low = middle + 1
    return attempt(low) if low < len(lines) else None


def whole_sentences(text: str) -> str:
    """A text that broke off, up to the end of its last sentence, where that leaves at least a half."""
    end = max(text.rfind(mark) for mark in (". ", "! ", "? ", ".\n", "。", "\n")) + 1
    return text[:end].rstrip() if end * 2 >= len(text) else text


def _speaker(turn: Turn, name: str) -> str:
    if turn.role == "assistant":
        return name
    return (turn.speaker and (turn.speaker.name or turn.speaker.id)) or "Somebody"


def _clipped(text: str) -> str:
    half = _CLIPPED // 2
    return text if len(text) <= _CLIPPED else f"{text[:half]} … {text[-half:]}"
