"""A prompt with its completion, as the scheduler sees it: token ids and how many of them were read. No text."""

from dataclasses import dataclass, field
from typing import Literal

from core.engine.engine import Params


@dataclass(slots=True, eq=False)
class Sequence:
    """One request. `room` is the most tokens that its completion may have.

    `read` counts the tokens whose keys and values are in the cache. In the phase "prefill" a part of the prompt
    is unread; in "decode" exactly one token is, the newest of the completion.
    """

    number: int
    prompt: tuple[int, ...] = field(repr=False)
    params: Params
    room: int
    read: int = 0
    completion: list[int] = field(default_factory=list, repr=False)

    @property
    def phase(self) -> Literal["prefill", "decode"]:
        return "prefill" if self.read < len(self.prompt) else "decode"

    @property
    def unread(self) -> int:
        return len(self.prompt) + len(self.completion) - self.read

    @property
    def full(self) -> bool:
        return len(self.completion) >= self.room

    def next(self, most: int) -> tuple[int, ...]:
        """The next tokens to read, at most `most`."""
        if self.phase == "prefill":
            return self.prompt[self.read : self.read + most]
        return (self.completion[-1],)
