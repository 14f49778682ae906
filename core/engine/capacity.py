"""How many slots and blocks a memory budget gives. Numbers only: no tensor, no sequence."""

from dataclasses import dataclass

_CLASSES = (512, 2048)  # tokens, and the whole context as the largest
_SLOTS = 0.6  # of the memory is for slots, the rest for what is remembered between turns
_SMALLEST = 0.75  # of the slots' memory, beside one of the whole context, is for the smallest class
BLOCK = 16  # tokens


@dataclass(frozen=True, slots=True)
class Capacity:
    """`sizes` are (tokens, number of slots), the tokens rising; `blocks` are of `BLOCK` tokens."""

    sizes: tuple[tuple[int, int], ...]
    blocks: int

    @property
    def context(self) -> int:
        """The longest sequence that has room."""
        return self.sizes[-1][0]

    @property
    def tokens(self) -> int:
        return sum(tokens * slots for tokens, slots in self.sizes) + self.blocks * BLOCK


def capacity(*, tokens: int, context: int, max_running: int) -> Capacity:
    """Room for `tokens` tokens of sequences that have at most `context` each, of which `max_running` run at once.

    There is one slot at least for the whole context, and a context that would take more than the slots' share is
    cut to it. Raises `ValueError` when not even one block of tokens has room.
    """
    room = int(tokens * _SLOTS)
    context = min(context, room)
    if context < BLOCK:
        raise ValueError(f"{tokens} tokens are no room to work in")
    if context <= _CLASSES[0]:
        slots = min(max_running, room // context)
        return _with_blocks(tokens, ((context, slots),))
    room -= context
    sizes = [(context, 1)]
    if context > _CLASSES[1]:
        middle = min(max_running, int(room * (1 - _SMALLEST)) // _CLASSES[1])
        if middle:
            sizes.append((_CLASSES[1], middle))
            room -= middle * _CLASSES[1]
    if small := min(max_running, room // _CLASSES[0]):
        sizes.append((_CLASSES[0], small))
    return _with_blocks(tokens, tuple(reversed(sizes)))


def _with_blocks(tokens: int, sizes: tuple[tuple[int, int], ...]) -> Capacity:
    used = sum(length * slots for length, slots in sizes)
    return Capacity(sizes, (tokens - used) // BLOCK)
