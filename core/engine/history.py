"""Which tokens sequences have had so far, on the model's device. Knows nothing of what they are needed for.

All histories are rows of one table that grows. What is written is put into it just before it is read, with one
operation for all sequences instead of one for each.
"""

from collections.abc import Sequence
from itertools import repeat

import torch
from torch import Tensor

_FIRST_ROWS = 8
_FIRST_LENGTH = 256


class History:
    """The token ids of each sequence, by position.

    Positions are written in order, and again at will: then everything from there on is as it was, until it is
    written again as well.
    """

    def __init__(self, device: torch.device | str) -> None:
        self._table = torch.zeros(_FIRST_ROWS, _FIRST_LENGTH, dtype=torch.int32, device=device)
        self._rows: dict[int, int] = {}
        self._lengths: dict[int, int] = {}
        self._free: list[int] = []
        self._written: dict[tuple[int, int], int] = {}  # row and position: not in the table yet

    def __len__(self) -> int:
        """How many sequences are remembered."""
        return len(self._rows)

    def __contains__(self, number: int) -> bool:
        return number in self._rows

    def add(self, number: int) -> None:
        """A new sequence, without a token."""
        self._rows[number] = self._free.pop() if self._free else len(self._rows)
        self._lengths[number] = 0

    def remove(self, number: int) -> None:
        self._free.append(self._rows.pop(number))
        del self._lengths[number]

    def write(self, number: int, start: int, token_ids: Sequence[int]) -> None:
        """Tokens from position `start` on. Raises `ValueError` when a position before it was never written."""
        if not 0 <= start <= self._lengths[number]:
            raise ValueError(f"tokens from position {start} on, after {self._lengths[number]} of the sequence")
        end = start + len(token_ids)
        self._lengths[number] = max(self._lengths[number], end)
        self._written.update(
            zip(zip(repeat(self._rows[number]), range(start, end), strict=False), token_ids, strict=True)
        )

    def read(self, numbers: Sequence[int], lengths: Sequence[int]) -> Tensor:
        """The first tokens of sequences: int64 [numbers, longest of lengths]. After the end of a shorter one its
        first token is repeated. Lengths are at least 1. Raises `ValueError` when one is longer than what was
        written."""
        for number, length in zip(numbers, lengths, strict=True):
            if length > self._lengths[number]:
                raise ValueError(f"{length} tokens of a sequence are needed and {self._lengths[number]} are known")
        self._put()
        rows = torch.tensor([self._rows[number] for number in numbers], device=self._table.device)
        ids = self._table[:, : max(lengths)].index_select(0, rows).long()
        ends = torch.tensor(lengths, device=ids.device)
        return torch.where(torch.arange(ids.shape[1], device=ids.device) < ends[:, None], ids, ids[:, :1])

    def _put(self) -> None:
        if not self._written:
            return
        rows, positions = zip(*self._written, strict=True)
        self._grow(max(rows) + 1, max(positions) + 1)
        places = torch.tensor((rows, positions), device=self._table.device)
        ids = torch.tensor(tuple(self._written.values()), dtype=torch.int32, device=self._table.device)
        self._table[places[0], places[1]] = ids
        self._written.clear()

    def _grow(self, rows: int, length: int) -> None:
        old_rows, old_length = self._table.shape
        if rows <= old_rows and length <= old_length:
            return
        grown = self._table.new_zeros(_doubled(old_rows, rows), _doubled(old_length, length))
        grown[:old_rows, :old_length] = self._table
        self._table = grown


def _doubled(size: int, needed: int) -> int:
    while size < needed:
        size *= 2
    return size
