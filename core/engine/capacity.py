"""How many slots and blocks a memory budget gives. Numbers only: no tensor, no sequence."""

from dataclasses import dataclass

_CLASSES = (512, 2048)  # tokens, and the whole context as the largest
_SLOTS = 0.6  # of the memory is for slots, the rest for what is remembered between turns
_SMALLEST = 0.5  # of the slots' memory is for the smallest class; the others share the rest
BLOCK = 16  # tokens
CELLS = 2  # states that a slot holds: that before a step and that after it
_BOOKS = 40  # bytes that the books hold of each token which a remembered state has read


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

    Of each class there is one slot at least, and no more than can run. A context of more than half of the slots'
    memory is cut to that: otherwise the longest conversation would leave none for others. Raises `ValueError` when
    not even one block of tokens has room.
    """
    room = int(tokens * _SLOTS)
    context = min(context, max(room // 2, min(room, _CLASSES[0])))
    if context < BLOCK:
        raise ValueError(f"{tokens} tokens are no room to work in")
    lengths = [*(length for length in _CLASSES if length < context), context]
    share = int(room * (1 - _SMALLEST)) // max(1, len(lengths) - 1)
    slots = dict.fromkeys(lengths, 0)
    for length in reversed(lengths):
        of_this = room if length == lengths[0] else max(share, length)
        slots[length] = min(max_running, min(of_this, room) // length)
        room -= slots[length] * length
    for length in lengths:  # what is left
        more = min(max_running - slots[length], room // length)
        slots[length] += more
        room -= more * length
    sizes = tuple((length, number) for length, number in slots.items() if number)
    used = sum(length * number for length, number in sizes)
    return Capacity(sizes, (tokens - used) // BLOCK)


def states(memory: int, *, state: int, context: int, max_running: int) -> tuple[int, int]:
    """How many slots and blocks there are for recurrent states of `state` bytes, in `memory` bytes. A block is
    remembered by all tokens that it has read, which are more than the state where that is small.

    Raises `ValueError` when not even one slot has room.
    """
    slots = min(max_running, int(memory * _SLOTS) // (CELLS * state))
    if not slots:
        raise ValueError(f"a state has {state} bytes")
    return slots, (memory - slots * CELLS * state) // (state + context * _BOOKS)
