"""A prompt with its completion, as the scheduler sees it: token ids and how many of them were read. No text."""

from dataclasses import dataclass, field
from typing import Literal

from core.engine.engine import NOBODY, Caller, Params
from core.engine.slots import Place


@dataclass(slots=True, eq=False)
class Sequence:
    """One candidate of one request. `room` is the most tokens that its completion may have, at least 1. Numbers
    rise: whoever came first has the lowest.

    `read` counts the tokens that the model has read and `place` still knows. In the phase "decode" exactly one is
    unread, the newest of the completion; in "prefill" there are more, or nothing was sampled yet. `cached` of
    the prompt's tokens were found in the cache when the sequence began.

    `leader` is the number of the candidate that reads the prompt for this one: until that is done, or the leader
    has left, this one waits. `overtaken` counts those that began after it was refused a place.
    """

    number: int
    prompt: tuple[int, ...] = field(repr=False)
    params: Params
    room: int
    caller: Caller = NOBODY
    candidate: int = 0
    leader: int | None = None
    place: Place | None = None
    read: int = 0
    cached: int = 0
    overtaken: int = 0
    completion: list[int] = field(default_factory=list, repr=False)

    def __len__(self) -> int:
        return len(self.prompt) + len(self.completion)

    @property
    def phase(self) -> Literal["prefill", "decode"]:
        return "decode" if self.completion and self.unread == 1 else "prefill"

    @property
    def unread(self) -> int:
        return len(self) - self.read

    @property
    def full(self) -> bool:
        return len(self.completion) >= self.room

    @property
    def longest(self) -> int:
        """The most tokens that its place may have to hold: the last one of a completion is never read."""
        return len(self.prompt) + self.room - 1

    def tokens(self, start: int, stop: int) -> tuple[int, ...]:
        """Prompt and completion from `start` up to `stop`, at the cost of that many tokens."""
        split = len(self.prompt)
        if stop <= split:
            return self.prompt[start:stop]
        completion = tuple(self.completion[max(0, start - split) : stop - split])
        return self.prompt[start:] + completion if start < split else completion
