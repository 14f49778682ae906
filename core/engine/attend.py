"""The attention of one step: a packed batch of many sequences against the keys and values of each.

Rows of the batch are tokens. Sequences that read one token are attended to together, as far as their slots lie
side by side; each longer chunk is attended to by itself. Knows tensors and places; neither models nor tokens.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from core.engine.keys_values import KeysValues
from core.engine.slots import Place

_STRIDE = 32  # lengths are rounded up to it: memory of the same size is found again in the next step
_MOST_SCORES = 1 << 22  # attention scores of one long chunk that are held at once


@dataclass(frozen=True, slots=True)
class Span:
    """The rows `[row, row + length)` of a packed batch are the tokens `[start, start + length)` of a sequence."""

    place: Place
    row: int
    start: int
    length: int

    @property
    def end(self) -> int:
        return self.start + self.length


@dataclass(frozen=True, slots=True)
class Look:
    """How a layer attends. Scores are multiplied by `scale`. Of what came before it, a token sees the last
    `window` tokens, itself included. Scores are softly bounded to `softcap` by a hyperbolic tangent. `sinks` is a
    score for each query head, which takes probability and gives no value."""

    scale: float
    window: int | None = None
    softcap: float | None = None
    sinks: torch.Tensor | None = None


class Step:
    """Writes each layer's new keys and values, and attends.

    `spans` are in the order of their rows: first those of one token, in the order of their places, then the
    longer ones.
    """

    def __init__(self, memory: KeysValues, spans: Sequence[Span]) -> None:
        singles = [span for span in spans if span.length == 1]
        self._parts: list[_Run | _Chunk] = [_Run(memory, run) for run in _side_by_side(singles)]
        self._parts += [_Chunk(memory, span) for span in spans if span.length > 1]

    def attend(
        self, layer: int, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, look: Look
    ) -> torch.Tensor:
        """`query` is `[row, query head, dimension]`, `key` is `[row, head, dimension]` and `value` is `[row, head,
        value dimension]`. Returns `[row, query head, value dimension]`, contiguous."""
        out = query.new_empty(*query.shape[:2], value.shape[2])
        for part in self._parts:
            part.attend(layer, query, key, value, look, out)
        return out


def _side_by_side(spans: Sequence[Span]) -> list[list[Span]]:
    """With a hole of one slot between them, too: a call of its own costs more than one slot in vain."""
    runs: list[list[Span]] = []
    for span in spans:
        last = runs[-1][-1].place if runs else None
        if last is not None and last.size == span.place.size and span.place.index - last.index <= 2:
            runs[-1].append(span)
        else:
            runs.append([span])
    return runs


class _Run:
    """Sequences that read one token each, in slots that lie side by side."""

    def __init__(self, memory: KeysValues, spans: Sequence[Span]) -> None:
        first, last = spans[0], spans[-1]
        size = first.place.size
        slots = slice(first.place.index, last.place.index + 1)
        self._rows = slice(first.row, last.row + 1)
        self._slots = slots.stop - slots.start
        self._keys, self._values = memory.keys[size][:, slots], memory.values[size][:, slots]
        self._heads, dimension, capacity = self._keys.shape[2:]

        used = [span.place.index - slots.start for span in spans]
        self._used = torch.tensor(used, device=memory.device) if len(used) < self._slots else None
        starts = torch.tensor([span.start for span in spans], device=memory.device)
        self._starts = starts
        self._key_at = starts[:, None, None].expand(-1, self._heads * dimension, 1)
        self._value_at = starts[:, None, None, None].expand(-1, self._heads, 1, self._values.shape[4])
        ends = [span.end for span in spans]
        self._shortest, longest = min(ends), max(ends)
        self._ends = torch.full((self._slots,), longest, device=memory.device)
        self._ends[used] = starts + 1
        self._length = min(-(-longest // _STRIDE) * _STRIDE, capacity)
        self._hidden: dict[int | None, tuple[int, torch.Tensor]] = {}

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        look: Look,
        out: torch.Tensor,
    ) -> None:
        keys, values = self._keys[layer], self._values[layer]
        self._write(keys, values, key[self._rows], value[self._rows])
        matrices = self._slots * self._heads
        rows = query[self._rows]
        group = rows.shape[1] // self._heads
        if self._used is not None:
            rows = rows.new_zeros(self._slots, *rows.shape[1:]).index_copy_(0, self._used, rows)
        weights = _weights(
            rows.reshape(matrices, group, -1),
            keys.flatten(0, 1)[..., : self._length],
            look,
            self._hide,
            None if look.sinks is None else look.sinks.view(self._heads, group).repeat(self._slots, 1),
        )
        values = values.flatten(0, 1)[:, : self._length]
        if self._used is None:
            torch.bmm(weights, values, out=out[self._rows].view(matrices, group, -1))
        else:
            out[self._rows] = torch.bmm(weights, values).view(self._slots, *out.shape[1:])[self._used]

    def _write(self, keys: torch.Tensor, values: torch.Tensor, key: torch.Tensor, value: torch.Tensor) -> None:
        keys, key = keys.flatten(1, 2), key.reshape(key.shape[0], -1, 1)
        value = value[:, :, None]
        if self._used is None:
            keys.scatter_(2, self._key_at, key)
            values.scatter_(2, self._value_at, value)
        else:  # the slots between belong to others
            used, at = self._used[:, None], self._starts[:, None]
            keys.index_put_((used, torch.arange(keys.shape[1], device=at.device), at), key[..., 0])
            values.index_put_((used, torch.arange(self._heads, device=at.device), at), value[:, :, 0])

    def _hide(self, scores: torch.Tensor, window: int | None) -> None:
        if window not in self._hidden:
            first = self._shortest if window is None else 0  # all see what is before it
            positions = torch.arange(first, self._length, device=scores.device)
            hidden = positions >= self._ends[:, None]
            if window is not None:
                hidden |= positions < self._ends[:, None] - window
            self._hidden[window] = first, _bias(hidden, scores)[:, None]
        first, bias = self._hidden[window]
        scores.view(self._slots, -1, self._length)[:, :, first:].add_(bias)


class _Chunk:
    """A longer piece of one sequence."""

    def __init__(self, memory: KeysValues, span: Span) -> None:
        self._span = span
        self._keys = memory.keys[span.place.size][:, span.place.index]
        self._values = memory.values[span.place.size][:, span.place.index]
        self._hidden: dict[tuple[int, int | None], tuple[int, torch.Tensor]] = {}

    def attend(
        self,
        layer: int,
        query: torch.Tensor,
        key: torch.Tensor,
        value: torch.Tensor,
        look: Look,
        out: torch.Tensor,
    ) -> None:
        span = self._span
        keys, values = self._keys[layer], self._values[layer]
        rows = slice(span.row, span.row + span.length)
        keys[:, :, span.start : span.end] = key[rows].permute(1, 2, 0)
        values[:, span.start : span.end] = value[rows].transpose(0, 1)
        keys, values = keys[:, :, : span.end], values[:, : span.end]
        most = max(1, _MOST_SCORES // (query.shape[1] * span.end))
        for first in range(0, span.length, most):
            part = slice(span.row + first, span.row + min(first + most, span.length))
            out[part] = self._attended(query[part], keys, values, look, span.start + first)

    def _attended(
        self, query: torch.Tensor, keys: torch.Tensor, values: torch.Tensor, look: Look, start: int
    ) -> torch.Tensor:
        length, heads = query.shape[0], keys.shape[0]
        group = query.shape[1] // heads
        rows = query.view(length, heads, group, -1).transpose(0, 1).reshape(heads, length * group, -1)
        sinks = None if look.sinks is None else look.sinks.view(heads, 1, group).expand(-1, length, -1).flatten(1)

        def hide(scores: torch.Tensor, window: int | None) -> None:
            self._hide(scores.view(heads, length, group, -1), window, start)

        attended = torch.bmm(_weights(rows, keys, look, hide, sinks), values)
        return attended.view(heads, length, group, -1).transpose(0, 1).flatten(1, 2)

    def _hide(self, scores: torch.Tensor, window: int | None, start: int) -> None:
        if (start, window) not in self._hidden:
            first = start if window is None else 0  # all see what is before it
            positions = torch.arange(first, self._span.end, device=scores.device)
            own = torch.arange(start, start + scores.shape[1], device=scores.device)[:, None]
            hidden = positions > own
            if window is not None:
                hidden |= positions <= own - window
            self._hidden[start, window] = first, _bias(hidden, scores)[:, None]
        first, bias = self._hidden[start, window]
        scores[..., first:].add_(bias)


def _bias(hidden: torch.Tensor, like: torch.Tensor) -> torch.Tensor:
    """-inf where something is hidden, and 0 elsewhere."""
    return like.new_zeros(hidden.shape).masked_fill_(hidden, -torch.inf)


def _weights(
    query: torch.Tensor,
    keys: torch.Tensor,
    look: Look,
    hide: Callable[[torch.Tensor, int | None], None],
    sinks: torch.Tensor | None,
) -> torch.Tensor:
    """Softmax over positions: `query` is `[n, row, dimension]`, `keys` is `[n, dimension, position]` and `sinks`
    is `[n, row]`. `hide` is given the scores, `[n, row, position]`, and the window, and changes those of positions
    that a row may not see."""
    scores = torch.bmm(query, keys)
    if look.scale != 1.0:
        scores.mul_(look.scale)
    if look.softcap is not None:
        scores.div_(look.softcap).tanh_().mul_(look.softcap)
    hide(scores, look.window)
    if sinks is None:
        return torch.softmax(scores, -1, out=scores)
    scores = torch.cat((scores, sinks.to(scores.dtype)[..., None]), -1)
    return torch.softmax(scores, -1)[..., :-1]
