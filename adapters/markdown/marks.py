"""Where the inline marks of a block are: code spans, links and emphasis, with their positions in the source.

markdown-it's inline tokens have no positions, and say nothing of a mark that is only half there. This follows the
same rules (https://spec.commonmark.org/0.31.2/#inlines) on the source itself. Knows no blocks: it is given one.
"""

import re
import unicodedata
from dataclasses import dataclass
from typing import Literal

Kind = Literal["code", "link", "emphasis"]

_TOKEN = re.compile(
    r"""\\. | (?P<ticks>`+)
    | (?P<address><[A-Za-z][A-Za-z0-9+.-]{1,31}:[^\s<>]*> | \bhttps?://[^\s<>*`|\])]+)
    | (?P<opening>!?\[) | (?P<closing>\])
    | (?P<run>\*+|_+|~~+)""",
    re.VERBOSE | re.DOTALL,
)
_TICKS = re.compile("`+")
_TARGET = re.compile(
    r"""\([ \n]* (?:<[^<>\n]{0,2000}> | [^\s()<]{0,2000}(?:\([^\s()]{0,2000}\)[^\s()]{0,2000})?)
    (?:\s+(?:"[^"]{0,2000}"|'[^']{0,2000}'|\([^()]{0,2000}\)))? [ \n]*\)""",
    re.VERBOSE,
)
_HALF_TARGET = re.compile(r"""(?:\([ ]?[^\s)]{0,2000}(?:[ ]["'(][^"')]{0,2000}["']?)?)?\Z""")


@dataclass(frozen=True, slots=True)
class Mark:
    """Something between marks, from `start` to `end`. `sign` opens it and closes it; a link has none."""

    kind: Kind
    start: int
    end: int
    sign: str = ""


@dataclass(frozen=True, slots=True)
class Marks:
    """`whole` marks have both their ends. `half` ones wait for theirs, and reach to the end of what was read."""

    whole: tuple[Mark, ...]
    half: tuple[Mark, ...]


def marks(text: str, start: int, end: int) -> Marks:
    """The marks of the block that is `text[start:end]`; positions are those in `text`."""
    return _Scan(text, start, end).run()


@dataclass(slots=True)
class _Run:
    """A delimiter run that may open emphasis; `length` of it is not used up yet."""

    char: str
    start: int
    length: int
    both: bool  # it could close as well
    full: int  # its length at first


class _Scan:
    def __init__(self, text: str, start: int, end: int) -> None:
        self._text = text
        self._start = start
        self._end = end
        self._whole: list[Mark] = []
        self._half: list[Mark] = []
        self._runs: list[_Run] = []
        self._brackets: list[tuple[int, int]] = []  # where a link may begin, and how many runs came before it
        self._bottom: dict[tuple[str, bool, int], int] = {}  # below this, no run opens for such a closer

    def run(self) -> Marks:
        at = self._start
        while (token := _TOKEN.search(self._text, at, self._end)) is not None:
            at = token.end()
            match token.lastgroup:
                case "ticks":
                    at = self._code(token.start(), token.group())
                case "address":
                    self._whole.append(Mark("link", token.start(), token.end()))
                case "opening":
                    self._brackets.append((token.start(), len(self._runs)))
                case "closing" if self._brackets:
                    at = self._link(token.end())
                case "run":
                    self._emphasis(token.start(), token.group())
        self._half += (Mark("emphasis", run.start, self._end, run.char * run.length) for run in self._runs)
        self._half += (Mark("link", start, self._end) for start, _ in self._brackets)
        return Marks(
            tuple(sorted(self._whole, key=lambda mark: (mark.start, -mark.end))),
            tuple(sorted(self._half, key=lambda mark: mark.start)),
        )

    def _code(self, start: int, ticks: str) -> int:
        for closing in _TICKS.finditer(self._text, start + len(ticks), self._end):
            if closing.group() == ticks:
                self._whole.append(Mark("code", start, closing.end(), ticks))
                return closing.end()
        self._half.append(Mark("code", start, self._end, ticks))
        return start + len(ticks)

    def _link(self, at: int) -> int:
        """`at` is after a closing bracket; return where to read on."""
        start, runs = self._brackets.pop()
        if (target := _TARGET.match(self._text, at, self._end)) is not None:
            self._whole.append(Mark("link", start, target.end()))
            del self._runs[runs:]
            return target.end()
        if _HALF_TARGET.match(self._text, at, self._end) is not None:
            self._half.append(Mark("link", start, self._end))
            del self._runs[runs:]
            return self._end
        return at

    def _emphasis(self, start: int, run: str) -> None:
        char, length = run[0], len(run)
        before = self._text[start - 1] if start > self._start else "\n"
        after = self._text[start + length] if start + length < self._end else "\n"
        left = not after.isspace() and (not _is_punctuation(after) or before.isspace() or _is_punctuation(before))
        right = not before.isspace() and (not _is_punctuation(before) or after.isspace() or _is_punctuation(after))
        opens, closes = left, right
        if char == "_":
            opens = left and (not right or _is_punctuation(before))
            closes = right and (not left or _is_punctuation(after))
        while closes and length and (opener := self._opener(char, len(run), opens)) is not None:
            used = 2 if char == "~" or (opener.length > 1 and length > 1) else 1
            if length < used:
                break
            opener.length -= used
            inner = opener.start + opener.length
            self._whole.append(Mark("emphasis", inner, start + used, char * used))
            if not opener.length:
                self._runs.pop()
            start, length = start + used, length - used
        if opens and length and not (char == "~" and length < 2):
            self._runs.append(_Run(char, start, length, closes, len(run)))

    def _opener(self, char: str, full: int, opens: bool) -> _Run | None:
        """The run that this closer closes, now the last one; runs after it open nothing any more. `full` is the
        closer's length at first."""
        # Nothing outside of a link's brackets is closed within them, so long as it may be a link.
        floor = self._brackets[-1][1] if self._brackets else 0
        kind = (char, opens, full % 3)
        for index in range(len(self._runs) - 1, max(floor, self._bottom.get(kind, 0)) - 1, -1):
            run = self._runs[index]
            if run.char == char and not _is_odd_pair(run, full, opens):
                del self._runs[index + 1 :]
                self._bottom = {known: min(bottom, index) for known, bottom in self._bottom.items()}
                return run
        if not floor:
            self._bottom[kind] = len(self._runs)
        return None


def _is_odd_pair(run: _Run, full: int, opens: bool) -> bool:
    """CommonMark's rule of three, which makes `*a**b*` what people mean."""
    if run.char == "~" or not (run.both or opens):
        return False
    return (run.full + full) % 3 == 0 and (run.full % 3 != 0 or full % 3 != 0)


def _is_punctuation(char: str) -> bool:
    return unicodedata.category(char)[0] in "PS"
