"""Cutting a long text into messages. Knows no platform: how long a source is, is asked of `size`.

A piece ends, in this order, where a block begins, a line, a sentence, a word, and last between two graphemes; a
better place is passed over only if the piece would be less than half full. Links and code spans are cut only if
they are longer than a message, emphasis only where there is no other place. What is open at a cut (a fence, a
table's header, emphasis, a quote, a numbered list) is closed before it and opened again after it.

Stability. A cut follows from the text before it and the marks around it. So a text that grows keeps its cuts, with
one exception: where the end of a mark arrives after a cut has been made within it, or makes shorter what it
encloses, this or an earlier cut may come to lie elsewhere. Who shows a text that grows must therefore keep the end
of each piece that has a successor, and go on from there.
"""

import re
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache

import regex

from adapters.markdown.excerpts import Excerpts
from adapters.markdown.marks import Mark

_LINE = re.compile(r"\n")
_SENTENCE = re.compile(r"""[.!?…]["'”’»)\]]*[*_~]*\s+|[。！？]["”’」』）]*""")
_WORD = re.compile(r"\s+")
_GRAPHEME = regex.compile(r"\X")

# Interpolation finds the end in three or four steps; from then on the rest is halved.
_PATIENCE = 6


@dataclass(frozen=True, slots=True)
class Piece:
    """One message: `source` renders on its own; `end` is where the next one begins in the whole text."""

    source: str = field(repr=False)
    end: int


@lru_cache(maxsize=16)  # whoever shows a text asks again when it stands there
def cut(text: str, start: int, limit: int, size: Callable[[str], int], *, final: bool) -> Piece:
    """The piece of `text` that begins at `start`, which is 0 or the end of another piece.

    It holds all the rest if that fits; then `end` is the text's length. `size(source)` is at most `limit`, unless
    a single grapheme is longer. A text that is not `final` is healed at its end, and measured so. The source is
    empty only where nothing but white space, or nothing that can be shown yet, is left.
    """
    excerpts = _excerpts(text, final)
    while True:
        piece = _Cut(excerpts, start, limit, size).piece()
        if piece.source or piece.end == len(text):
            return piece
        start = piece.end


@lru_cache(maxsize=16)
def _excerpts(text: str, final: bool) -> Excerpts:
    return Excerpts(text, final=final)


class _Cut:
    def __init__(self, excerpts: Excerpts, start: int, limit: int, size: Callable[[str], int]) -> None:
        self._excerpts = excerpts
        self._outline = excerpts.outline
        self._text = excerpts.text
        self._start = start
        self._limit = limit
        self._size = size
        self._sources: dict[int, str] = {}

    def piece(self) -> Piece:
        whole = len(self._text)
        for source, places in (
            (self._settled_source, self._good_places),
            (self._source, self._any_places),
            (self._bare_source, self._any_places),
        ):
            reach = self._reach(source)
            if reach == whole:
                return Piece(source(whole), whole)
            for end in places(reach):
                if self._size(shown := source(end)) <= self._limit:
                    return Piece(shown, end)
        grapheme = _GRAPHEME.match(self._text, self._start)
        end = grapheme.end() if grapheme else whole
        return Piece(self._text[self._start : end], end)

    def _reach(self, source: Callable[[int], str]) -> int:
        """About the furthest end of a piece that fits; `start` if none does."""
        start, limit = self._start, self._limit
        fits, fails = start, len(self._text) + 1
        guess, steps = start + limit, 0
        while fails - fits > 1:
            guess = min(max(guess, fits + 1), fails - 1)
            used = self._size(source(guess))
            if used <= limit:
                fits = guess
            else:
                fails = guess
            steps += 1
            if steps > _PATIENCE:
                guess = (fits + fails) // 2 if fails <= len(self._text) else fits + (fits - start)
            else:
                guess += round((limit - used) * (guess - start) / max(used, 1)) or (1 if used <= limit else -1)
        return fits

    def _source(self, end: int) -> str:
        if (source := self._sources.get(end)) is None:
            source = self._sources[end] = self._excerpts.source(self._start, end)
        return source

    def _bare_source(self, end: int) -> str:
        """For limits that leave no room to open and close anything."""
        return self._text[self._start : end].strip()

    def _settled_source(self, end: int) -> str:
        return self._source(self._settled(end))

    def _settled(self, end: int) -> int:
        """`end`, or where what must not be cut there begins; where that ends if it begins with the piece."""
        block = self._outline.at(end)
        if block is None or end == block.start:
            return end
        if block.kind == "fence" and end > block.tail:
            return block.end
        if block.kind in {"fence", "table"} and end <= block.body:
            return block.start if block.start > self._start else end
        if block.kind == "table":
            row = max(self._text.rfind("\n", 0, end) + 1, block.body)
            return row if row > max(self._start, block.body) else block.start if block.start > self._start else end
        for mark in self._excerpts.marks(block):
            if _is_uncut(mark, end):
                return mark.start if mark.start > self._start else mark.end
        return end

    def _good_places(self, reach: int) -> Iterator[int]:
        """Where a piece may end, up to `reach`, the best first."""
        start, half = self._start, self._start + (reach - self._start) // 2
        yield from reversed(self._outline.starts(half, reach))
        for pattern in (_LINE, _SENTENCE, _WORD):
            yield from self._inside(pattern, half, reach, emphasis=False)
        for pattern in (_SENTENCE, _WORD):
            yield from self._inside(pattern, half, reach, emphasis=True)
        yield from self._between_graphemes(half, reach)
        yield from reversed(self._outline.starts(start, half))
        for pattern in (_LINE, _WORD):
            yield from self._inside(pattern, start, half, emphasis=True)
        yield from self._between_graphemes(start, half)

    def _any_places(self, reach: int) -> Iterator[int]:
        yield from self._ends(_WORD, self._start + (reach - self._start) // 2, reach)
        yield from self._ends(_GRAPHEME, self._start, reach)

    def _inside(self, pattern: re.Pattern[str], low: int, high: int, *, emphasis: bool) -> Iterator[int]:
        """Ends of `pattern` within blocks, the last first."""
        for end in self._ends(pattern, low, high):
            block = self._outline.at(end)
            if block is None or end == block.start or self._settled(end) != end:
                continue
            if pattern is not _LINE and block.kind == "fence":
                continue
            if emphasis or not any(mark.start < end < mark.end for mark in self._excerpts.marks(block)):
                yield end

    def _between_graphemes(self, low: int, high: int) -> Iterator[int]:
        return (end for end in self._ends(_GRAPHEME, low, high) if self._settled(end) == end)

    def _ends(self, pattern: "re.Pattern[str] | regex.Pattern[str]", low: int, high: int) -> Iterable[int]:
        """The ends of matches, later than `low`, up to `high`, the last first."""
        # Graphemes are told apart from the piece's start on: flags are pairs.
        begin = self._start if pattern is _GRAPHEME else max(self._start, low - 2)
        until = min(high + 64, len(self._text))
        found = [match.end() for match in pattern.finditer(self._text, begin, until)]
        return (end for end in reversed(found) if low < end <= high and self._start < end < len(self._text))


def _is_uncut(mark: Mark, end: int) -> bool:
    """Whether a cut at `end` breaks what should stay whole: a link, a code span, the signs of emphasis."""
    if mark.kind == "emphasis":
        sign = len(mark.sign)
        return mark.start < end <= mark.start + sign or mark.end - sign <= end < mark.end
    return mark.start < end < mark.end
