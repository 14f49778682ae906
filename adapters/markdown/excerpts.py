"""A part of a Markdown text that renders on its own: what is open at its ends is opened and closed again.

Knows no limit: where to cut is asked of `pieces`.
"""

import re
from bisect import bisect_left
from operator import attrgetter

from adapters.markdown.blocks import Block, ends_a_block, outline
from adapters.markdown.healing import heal
from adapters.markdown.marks import Mark, marks

_BLANK_LINES = re.compile(r"\s*\n")
_CONTAINER = re.compile(r"[ \t>]*")


class Excerpts:
    """Parts of `text`. Unless it is `final` its last block may still grow: marks in it wait for their ends."""

    def __init__(self, text: str, *, final: bool) -> None:
        self.text = text
        self.final = final
        self.outline = outline(text)
        self._misnumbered = [
            i for i in self.outline.items if int(text[slice(*i.digits)]) != i.number and i.before >= 0
        ]
        self._marks: dict[int, tuple[Mark, ...]] = {}

    def source(self, start: int, end: int) -> str:
        """`text[start:end]`, so that it renders on its own."""
        body = self._numbered(start, end)
        if not body.strip():
            return ""
        healed = end == len(self.text) and not self.final
        body = body if healed else self._closed(body, start, end)
        body = self._opened(body, start)
        return heal(body).rstrip() if healed else body

    def marks(self, block: Block) -> tuple[Mark, ...]:
        """The inline marks of `block`."""
        if block.kind not in {"text", "heading"}:
            return ()
        if (known := self._marks.get(block.start)) is None:
            found = marks(self.text, block.start, block.end)
            known = found.whole + found.half if self._grows(block) else found.whole
            self._marks[block.start] = known
        return known

    def _grows(self, block: Block) -> bool:
        return not self.final and block is self.outline.blocks[-1] and not ends_a_block(self.text)

    def _numbered(self, start: int, end: int) -> str:
        """A list that goes on here keeps its numbers, also where its source says 1. each time."""
        written, at = [], start
        first = bisect_left(self._misnumbered, start, key=attrgetter("start"))
        last = bisect_left(self._misnumbered, end, lo=first, key=attrgetter("start"))
        for item in self._misnumbered[first:last]:
            if item.before < start and item.digits[1] <= end:
                written += [self.text[at : item.digits[0]], str(item.number)]
                at = item.digits[1]
        return "".join([*written, self.text[at:end]])

    def _closed(self, body: str, start: int, end: int) -> str:
        block = self.outline.at(end - 1)
        if block is None or block.end < end or (end == block.end and not block.is_open):
            return body.rstrip()
        if block.kind == "fence" and (end > block.body or block.is_open):
            return f"{body.removesuffix(chr(10))}\n{block.closing}" if end > max(start, block.start) else body
        signs = [mark.sign for mark in self.marks(block) if mark.start < end < mark.end]
        return body.rstrip() + "".join(reversed(signs))

    def _opened(self, body: str, start: int) -> str:
        block = self.outline.at(start)
        if block is None:
            blank = _BLANK_LINES.match(body)
            return body[blank.end() :] if blank else body
        if start == block.start:
            found = _CONTAINER.match(self.text, start) if block.prefix else None
            return _reprefixed(body, found.group() if found else "", "")
        if block.kind in {"fence", "table"}:
            return _reprefixed(body, block.prefix, block.opening if start >= block.body else "")
        signs = "".join(mark.sign for mark in self.marks(block) if mark.start < start < mark.end)
        if block.kind == "other":
            return _reprefixed(body, block.prefix, "")
        return _reprefixed(signs + body.removeprefix(block.prefix).lstrip(" \t"), block.prefix, "")


def _reprefixed(body: str, prefix: str, opening: str) -> str:
    """`body` taken out of the lists around it, but not out of the quotes; `opening` comes before it.

    Every line of a block in a container begins with `prefix`, up to the first that does not: there it has ended.
    """
    quotes = "> " * prefix.count(">")
    head = "".join(quotes + line for line in opening.splitlines(keepends=True))
    if not prefix:
        return head + body
    lines = body.splitlines(keepends=True)
    lines[0] = quotes + lines[0].removeprefix(prefix)
    for number, line in enumerate(lines[1:], 1):
        if line.startswith(prefix):
            lines[number] = quotes + line.removeprefix(prefix)
        elif line.strip(" \t>\r\n"):
            break
    return head + "".join(lines)
