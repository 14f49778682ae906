"""What the model thread is given for one step, and nothing else: numbers and token ids."""

from dataclasses import dataclass, field

from core.engine.engine import Params
from core.engine.places import Copy, Place


@dataclass(frozen=True, slots=True)
class Chunk:
    """The tokens of one sequence that a step reads into `place`, from position `start` on.

    The next token is sampled at each of the last `samples` positions. Above 1 the last `samples - 1` of
    `token_ids` are drafts: what counts is sampled up to and including the first token that differs from its
    draft. `prefix` are the tokens before `start` in the sequence's first chunk, which the cache knew; it is empty
    later.
    """

    number: int
    place: Place
    start: int
    token_ids: tuple[int, ...] = field(repr=False)
    samples: int
    params: Params
    candidate: int = 0
    prefix: tuple[int, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class Batch:
    """One step: `copies` are done in their order, then the chunks are read. `freed` are the numbers of sequences
    that have left, also of such that never had a chunk: what was kept of their sampling goes before the step."""

    copies: tuple[Copy, ...]
    chunks: tuple[Chunk, ...]
    freed: tuple[int, ...]

    def __bool__(self) -> bool:
        return bool(self.copies or self.chunks or self.freed)
