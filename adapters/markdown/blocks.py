"""Where the blocks of a Markdown text are. markdown-it finds them; this gives them positions and a context.

Knows nothing of limits, and nothing of what is in a paragraph.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache, lru_cache
from itertools import pairwise
from typing import Literal

from markdown_it import MarkdownIt
from markdown_it.token import Token

_BLOCK_ENDED = re.compile(r"\n[ \t\r>]*\n[ \t\r>]*\Z")
_NEWLINE = re.compile(r"\r\n?|\n")
_MARKER = r"[ \t]*(?:>|[-+*](?=[ \t]|$)|\d{1,9}[.)](?=[ \t]|$))"
_NOT_QUOTE = re.compile(r"[^>\s]")
_NUMBER = re.compile(r"[ \t>]*(\d{1,9})[.)]")

Kind = Literal["text", "heading", "fence", "table", "other"]
_KINDS: dict[str, Kind] = {
    "paragraph_open": "text",
    "heading_open": "heading",
    "fence": "fence",
    "table_open": "table",
    "code_block": "other",
    "hr": "other",
}


@dataclass(frozen=True, slots=True)
class Block:
    """A block that holds no other blocks, from the `start` of its first line to the `end` of its last.

    `prefix` is what its later lines begin with because of the lists and quotes around it. A fence and a table have
    a `body`, from `body` to `tail`, between the opening and the closing line, or after the header; `opening` is
    what must stand before a part of the body that is shown alone, and `closing` what must stand after it.
    """

    kind: Kind
    start: int
    end: int
    body: int
    tail: int
    prefix: str = ""
    opening: str = ""
    closing: str = ""

    @property
    def is_open(self) -> bool:
        """A fence without its closing line."""
        return self.kind == "fence" and self.tail == self.end


@dataclass(frozen=True, slots=True)
class Item:
    """An item of a numbered list: the `number` that it is shown with, and from where to where its digits are.

    `before` is the start of the item before it in the same list; -1: it is the first.
    """

    start: int
    before: int
    digits: tuple[int, int]
    number: int


class Outline:
    """The blocks of `text` in order, and the items of its numbered lists."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._lines = [0, *(match.end() for match in _NEWLINE.finditer(text)), len(text)]
        tokens = _parser().parse(text)
        self.blocks = tuple(self._read_blocks(tokens))
        self.items = tuple(self._read_items(tokens))
        self._starts = [block.start for block in self.blocks]

    def at(self, position: int) -> Block | None:
        """The block with `position` in it, its start included and its end not."""
        index = bisect_right(self._starts, position) - 1
        return self.blocks[index] if index >= 0 and position < self.blocks[index].end else None

    def starts(self, after: int, until: int) -> list[int]:
        """Where blocks begin, later than `after`, up to `until`; not right below a heading."""
        low, high = bisect_right(self._starts, after), bisect_right(self._starts, until)
        return [self._starts[at] for at in range(low, high) if not at or self.blocks[at - 1].kind != "heading"]

    def _line(self, number: int) -> int:
        return self._lines[min(number, len(self._lines) - 1)]

    def _read_blocks(self, tokens: list[Token]) -> Iterator[Block]:
        depth = 0
        header_ends = _header_ends(tokens)
        for token in tokens:
            if token.type in {"list_item_open", "blockquote_open"}:
                depth += 1
            elif token.type in {"list_item_close", "blockquote_close"}:
                depth -= 1
            elif (kind := _KINDS.get(token.type)) is not None and token.map is not None:
                yield self._block(kind, token, token.map, depth, header_ends.get(id(token), 0))

    def _block(self, kind: Kind, token: Token, lines: list[int], depth: int, header_end: int) -> Block:
        first, last = lines
        start, end = self._line(first), self._line(last)
        raw = (
            re.match(rf"(?:{_MARKER}){{0,{depth}}}[ \t]*", self.text[start : self._line(first + 1)])
            if depth
            else None
        )
        own = len(raw.group()) if raw else 0
        prefix = _NOT_QUOTE.sub(" ", raw.group()) if raw else ""
        if kind == "fence":
            body = min(self._line(first + 1), end)
            tail = self._line(last - 1) if last - 1 > first and self._closes(token.markup, last - 1) else end
            opening = token.markup + token.info.strip() + "\n"
            return Block(kind, start, end, body, max(tail, body), prefix, opening, prefix + token.markup)
        if kind == "table":
            body = self._line(header_end)
            header = self.text[start + own : self._line(first + 1)]
            opening = header + self.text[self._line(first + 1) : body].removeprefix(prefix)
            return Block(kind, start, end, body, end, prefix, opening)
        return Block(kind, start, end, start, end, prefix)

    def _closes(self, markup: str, line: int) -> bool:
        words = self.text[self._line(line) : self._line(line + 1)].strip(" \t\r\n>")
        return len(words) >= len(markup) and not words.strip(markup[0])

    def _read_items(self, tokens: list[Token]) -> Iterator[Item]:
        lists: list[
            tuple[int | None, int]
        ] = []  # the next item's number, if it has one, and the last item's start
        for token in tokens:
            match token.type:
                case "ordered_list_open":
                    lists.append((int(token.attrs.get("start", 1)), -1))
                case "bullet_list_open":
                    lists.append((None, -1))
                case "ordered_list_close" | "bullet_list_close":
                    lists.pop()
                case "list_item_open":
                    number, before = lists[-1]
                    if number is None or token.map is None:
                        continue
                    start = self._line(token.map[0])
                    lists[-1] = (number + 1, start)
                    if (literal := _NUMBER.match(self.text, start)) is not None:
                        yield Item(start, before, literal.span(1), number)


def _header_ends(tokens: list[Token]) -> dict[int, int]:
    """For each table, the line after its delimiter row."""
    tables = [token for token in tokens if token.type in {"table_open", "thead_open"}]
    return {
        id(table): head.map[1] if head.map and head.map[1] > head.map[0] + 1 else (table.map or [0])[0] + 2
        for table, head in pairwise(tables)
        if table.type == "table_open" and head.type == "thead_open"
    }


def ends_a_block(text: str) -> bool:
    """Whether a blank line stands at the end: what comes next begins another block."""
    return _BLOCK_ENDED.search(text) is not None


@lru_cache(maxsize=16)
def outline(text: str) -> Outline:
    """The outline of `text`; remembered, since a long text is cut piece by piece."""
    return Outline(text)


@cache
def _parser() -> MarkdownIt:
    parser = MarkdownIt("commonmark", {"html": False}).enable("table")
    parser.core.ruler.enableOnly(["normalize", "block"])
    return parser
