"""A message while it is being written: its text, and the entities over it. Knows no Markdown.

Offsets and lengths count UTF-16 units, as the limit does. Rules of the platform that the shape follows
(https://core.telegram.org/bots/api#messageentity): `code` and `pre` stand alone, except within a quote; no kind
lies within its own; what is bold or italic may otherwise overlap freely.
"""

import string
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from telegram import MessageEntity  # noqa: TID251

UNSEEN = string.whitespace + "\u00a0\u200b\u200c\u200d\u2060\u2063\ufeff"
"""What Telegram takes for an empty message."""


@dataclass(frozen=True, slots=True)
class Rendered:
    """One message: `text` is never empty, and each entity lies within it."""

    text: str = field(repr=False)
    entities: tuple[MessageEntity, ...] = field(repr=False)


def utf16(text: str) -> int:
    """The length of `text` as Telegram counts it."""
    return len(text.encode("utf-16-le")) // 2


class Writer:
    """The message so far.

    `indent` is written before each line's first word. `quoted` and `linked` are for the caller: whether a quote
    or a link is open.
    """

    def __init__(self) -> None:
        self.indent = ""
        self.quoted = False
        self.linked = False
        self._text: list[str] = []
        self._length = 0
        self._fresh = True  # nothing stands on the last line yet
        self._gap = 0  # newlines that stand at the end
        self._open: list[tuple[str, str | None, int]] = []
        self._entities: list[MessageEntity] = []

    def words(self, text: str) -> None:
        """Text as it is, of any number of lines."""
        for number, line in enumerate(text.split("\n")):
            if number:
                self.newline()
            if line:
                self._begin_line()
                self._put(line)

    def newline(self) -> None:
        self._put("\n")
        self._fresh = True
        self._gap += 1

    def start_line(self, blank: bool) -> None:
        """Be on a line of one's own, after a blank one if `blank`; at the message's start nothing is needed."""
        while self._length and self._gap < 1 + blank:
            self.newline()

    @contextmanager
    def style(self, kind: str, url: str | None = None) -> Iterator[None]:
        """What is written inside gets an entity of `kind`."""
        if any(kind == open_kind for open_kind, _, _ in self._open):
            yield  # bold within bold is bold
            return
        self._begin_line()
        self._open.append((kind, url, self._length))
        yield
        _, _, start = self._open.pop()
        self._add(kind, start, url=url)

    def code(self, text: str) -> None:
        """A code span. The styles around it end before it and begin again after it."""
        self._begin_line()
        for kind, url, start in self._open:
            if kind != MessageEntity.BLOCKQUOTE:
                self._add(kind, start, url=url)
        start = self._length
        self._put(text)
        self._add(MessageEntity.CODE, start)
        self._open = [
            (kind, url, begun if kind == MessageEntity.BLOCKQUOTE else self._length)
            for kind, url, begun in self._open
        ]

    def preformatted(self, text: str, language: str = "") -> None:
        """A block of code, without the indentation around it: what is copied from here must be exact."""
        start = self._length
        self._put(text.rstrip("\n") or " ")
        self._add(MessageEntity.PRE, start, language=language)

    def finish(self) -> Rendered | None:
        """The message; None when there is nothing to see in it."""
        text = "".join(self._text).rstrip()
        if not text.strip(UNSEEN):
            return None
        end = utf16(text)
        kept = (_clipped(entity, end) for entity in self._entities)
        entities = sorted((entity for entity in kept if entity), key=lambda e: (e.offset, -e.length))
        return Rendered(text, tuple(entities))

    def _begin_line(self) -> None:
        if self._fresh:
            self._put(self.indent)
            self._fresh = False

    def _put(self, text: str) -> None:
        if text:
            self._text.append(text)
            self._length += utf16(text)
            self._fresh = False
            if text != "\n":
                self._gap = 0

    def _add(self, kind: str, start: int, *, url: str | None = None, language: str = "") -> None:
        if self._length > start:
            entity = MessageEntity(kind, start, self._length - start, url=url, language=language or None)
            self._entities.append(entity)


def _clipped(entity: MessageEntity, end: int) -> MessageEntity | None:
    length = min(entity.offset + entity.length, end) - entity.offset
    if length == entity.length:
        return entity
    if length <= 0:
        return None
    return MessageEntity(entity.type, entity.offset, length, url=entity.url, language=entity.language)
