"""A text that is still being written, made fit to be seen: a mark that is half there is closed or held back.

For drafts only: what is final stands as it is. Knows no limit and no platform.
"""

import re

from adapters.markdown.blocks import Block, ends_a_block, outline
from adapters.markdown.marks import Mark, Marks, marks

# A last line of these alone may yet become a heading, a rule, a fence, or an item of a list.
_UNDECIDED = re.compile(
    r"[ \t>]*(?:(?:[-+*]|\d{1,9}[.)])[ \t]+)*(?:[-+*=_#~`|:]+|\d{1,9}[.)]?|!\[?|\[|<|\\)?[ \t]*\Z"
)
_ROW = re.compile(r"[ \t>]*\|")
_HALF_DELIMITER_ROW = re.compile(r"[ \t>]*\|[-:| \t]*\Z")
_LOOSE = re.compile(r"(?<=\s)(?:[*_~`]+|!?\[|!|<|\\)\Z|\\\Z")
_HALF_ADDRESS = re.compile(r"<(?=[A-Za-z][^\s<>]*\Z)")

# More than this many open at once are no marks, but somebody's asterisks.
_DEEPEST = 8

# A block longer than this stands as it is: brackets that open without end take quadratic time, and nobody reads so
# far in one paragraph for a mark at its end.
_LONGEST = 4096


def heal(source: str) -> str:
    """`source` as it can be shown while more of it is to come. May be empty; what is healed stays as it is."""
    healed = _mended(source)
    while healed != source:
        source, healed = healed, _mended(healed)
    return healed


def _mended(source: str) -> str:
    blocks = outline(source).blocks
    last = blocks[-1] if blocks else None
    if last is not None and last.kind == "fence":
        return _fence(source, last) if last.is_open else source
    line = source.rfind("\n") + 1
    if line < len(source) and _UNDECIDED.match(source, line):
        return source[:line]
    if last is None or last.kind == "other" or ends_a_block(source):
        return source
    if last.kind == "text" and (table := _half_table(source, last)) is not None:
        return source[:table]
    if last.kind == "text":
        return _inline(source, last.start)
    return _inline(source, line) if line < len(source) else source


def _fence(source: str, fence: Block) -> str:
    code = source[fence.body : fence.end]
    line = code.rfind("\n") + 1
    words = code[line:].strip(" \t>")
    mark = fence.closing.strip(" >")
    if words and not words.strip(mark[0]) and len(words) < len(mark):
        code = code[:line]
    if not code.strip():
        return source[: fence.start]
    return f"{source[: fence.body]}{code.rstrip(chr(10))}\n{fence.closing}"


def _half_table(source: str, block: Block) -> int | None:
    """Where the first rows of what may become a table begin."""
    rows = source[block.start : block.end].splitlines(keepends=True)
    first = len(rows)
    while first and _ROW.match(rows[first - 1]):
        first -= 1
    waiting = rows[first:]
    if len(waiting) == 1 or (len(waiting) == 2 and _HALF_DELIMITER_ROW.match(waiting[1])):
        return block.start + sum(map(len, rows[:first]))
    return None


def _inline(source: str, start: int) -> str:
    """Mend the one block that begins at `start` and ends with the text."""
    if len(source) - start > _LONGEST:
        return source
    if (loose := _LOOSE.search(source, start)) is not None:
        return source[: loose.start()]
    if (address := _HALF_ADDRESS.search(source, start)) is not None:
        return source[: address.start()] + source[address.end() :]
    found = marks(source, start, len(source))
    half = [mark for mark in found.half if not _is_arithmetic(source, mark)]
    if not half or len(half) > _DEEPEST:
        return source
    for mark in half:
        if mark.kind == "link":
            return _without_brackets(source, mark)
    if (closing := _half_closing(source, found)) is not None:
        return source[:closing]
    innermost = next((mark for mark in half if mark.kind == "code"), half[-1])
    content = source[innermost.start + len(innermost.sign) :]
    if not content.strip():
        return source[: innermost.start]
    closed = source.rstrip() + innermost.sign
    if len(marks(closed, start, len(closed)).half) < len(found.half):
        return closed
    return source[: innermost.start] + content


def _half_closing(source: str, found: Marks) -> int | None:
    """Where the text's last characters are a closing sign of which some is still missing, as in `**bold*`."""
    for mark in found.half:
        if mark.kind == "code" or mark.sign == "~~":
            run = len(source) - len(source.rstrip(mark.sign[0]))
            if run > 0 and len(source) - run >= mark.start + len(mark.sign):
                return len(source) - run
        for whole in found.whole:
            if (
                whole.end == len(source)
                and whole.start == mark.start + len(mark.sign)
                and whole.sign[:1] == mark.sign[0]
            ):
                return len(source.rstrip(mark.sign[0]))
    return None


def _without_brackets(source: str, link: Mark) -> str:
    if source.startswith("!", link.start):
        return source[: link.start]
    label, _, _ = source[link.start + 1 :].partition("](")
    return source[: link.start] + label.removesuffix("]")


def _is_arithmetic(source: str, mark: Mark) -> bool:
    """`2*3` opens emphasis by the letter of the rules, and never does by intent."""
    return mark.kind == "emphasis" and mark.sign == "*" and mark.start > 0 and source[mark.start - 1].isalnum()
