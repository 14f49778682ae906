"""The model's Markdown in Telegram's form: a text and the entities over it. No client, no room.

Entities instead of Telegram's own markup languages: nothing needs escaping, and no text can be refused because its
marks do not match.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache

from markdown_it.tree import SyntaxTreeNode
from telegram import MessageEntity  # noqa: TID251
from telegram.constants import MessageLimit  # noqa: TID251

from adapters.markdown import parse
from adapters.telegram.writer import UNSEEN, Rendered, Writer, utf16

LIMIT = int(MessageLimit.MAX_TEXT_LENGTH)
"""UTF-16 units in one message, after the entities were taken out: 4096."""
ENTITY_LIMIT = int(MessageLimit.MESSAGE_ENTITIES)
"""Entities in one message; Telegram forgets those that come later."""

_BULLETS = ("•", "◦", "▪")
_RULE = "—" * 8
# Telegram makes a mention of each @name that stands alone, and the person is called. A word joiner after the @ is
# seen by nobody and ends that. Within code nothing is made of an @, and what is copied from there must be exact.
_MENTION = re.compile(r"(?<!\w)@(?=\w{2})")
_JOINER = "\u2060"


def size(source: str) -> int:
    """How much of `LIMIT` the Markdown `source` needs; over it also when there are too many entities."""
    rendered = render(source)
    return LIMIT + len(rendered.entities) if len(rendered.entities) > ENTITY_LIMIT else utf16(rendered.text)


@lru_cache(maxsize=64)  # a piece is measured, and then sent
def render(source: str) -> Rendered:
    """The Markdown `source` as one message, whatever its length."""
    writer = Writer()
    _blocks(writer, parse(_sound(source)).children)
    return writer.finish() or Rendered(_sound(source).strip(UNSEEN) or "…", ())


def _sound(source: str) -> str:
    """Half a surrogate pair cannot be sent."""
    return source.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def _blocks(to: Writer, nodes: Sequence[SyntaxTreeNode]) -> None:
    for number, node in enumerate(nodes):
        to.start_line(blank=number > 0)
        _block(to, node)


def _block(to: Writer, node: SyntaxTreeNode) -> None:
    match node.type:
        case "heading":
            with to.style(MessageEntity.BOLD):
                _inline(to, node.children)
        case "paragraph" | "inline":
            _inline(to, node.children)
        case "fence" | "code_block":
            to.preformatted(node.content, node.info.split(maxsplit=1)[0] if node.info.strip() else "")
        case "bullet_list" | "ordered_list":
            _list(to, node)
        case "blockquote":
            _quote(to, node)
        case "table":
            to.preformatted(_table(node))
        case "hr":
            to.words(_RULE)
        case _:
            to.words(node.content)


def _list(to: Writer, node: SyntaxTreeNode) -> None:
    depth = sum(parent.type in {"bullet_list", "ordered_list"} for parent in _ancestors(node))
    first = int(node.attrs.get("start", 1))
    loose = any(
        child.type == "paragraph" and not child.hidden for item in node.children for child in item.children
    )
    for number, item in enumerate(node.children):
        to.start_line(blank=loose and number > 0)
        mark = f"{first + number}. " if node.type == "ordered_list" else f"{_BULLETS[depth % len(_BULLETS)]} "
        to.words(mark)
        with _indented(to, " " * (len(mark) + 1)):
            _item(to, item.children, loose=loose)


def _item(to: Writer, nodes: Sequence[SyntaxTreeNode], *, loose: bool) -> None:
    for number, node in enumerate(nodes):
        if number or node.type not in {"paragraph", "inline"}:
            to.start_line(blank=loose and number > 0)
        _block(to, node)


def _quote(to: Writer, node: SyntaxTreeNode) -> None:
    if to.quoted:
        with _indented(to, "> "):
            _blocks(to, node.children)
        return
    to.quoted = True
    with to.style(MessageEntity.BLOCKQUOTE):
        _blocks(to, node.children)
    to.quoted = False


@contextmanager
def _indented(to: Writer, by: str) -> Iterator[None]:
    outer, to.indent = to.indent, to.indent + by
    yield
    to.indent = outer


def _ancestors(node: SyntaxTreeNode) -> Iterator[SyntaxTreeNode]:
    while (parent := node.parent) is not None:
        yield parent
        node = parent


def _inline(to: Writer, nodes: Sequence[SyntaxTreeNode]) -> None:
    for node in nodes:
        match node.type:
            case "inline":
                _inline(to, node.children)
            case "strong":
                with to.style(MessageEntity.BOLD):
                    _inline(to, node.children)
            case "em":
                with to.style(MessageEntity.ITALIC):
                    _inline(to, node.children)
            case "s":
                with to.style(MessageEntity.STRIKETHROUGH):
                    _inline(to, node.children)
            case "code_inline":
                # A link may not hold code; where it leads counts for more.
                (to.words if to.linked else to.code)(node.content)
            case "link":
                _link(to, node)
            case "image":
                _image(to, node)
            case "softbreak" | "hardbreak":
                to.newline()
            case _:
                to.words(_MENTION.sub(f"@{_JOINER}", node.content))


def _link(to: Writer, node: SyntaxTreeNode) -> None:
    href = str(node.attrs.get("href", ""))
    if node.info == "auto":
        # A bare address: the platform makes a link of it by itself.
        to.words("".join(child.content for child in node.children))
    elif to.linked or not href.startswith(("http://", "https://")):
        # tg://user?id=1 would call a person, and what leads nowhere is refused.
        _inline(to, node.children)
        if href and not href.startswith("tg:"):
            to.words(f" ({href})")
    else:
        to.linked = True
        with to.style(MessageEntity.TEXT_LINK, href):
            _inline(to, node.children)
            if not node.children:
                to.words(href)
        to.linked = False


def _image(to: Writer, node: SyntaxTreeNode) -> None:
    label = node.content or str(node.attrs.get("alt", "")) or str(node.attrs.get("src", ""))
    src = str(node.attrs.get("src", ""))
    if not src.startswith(("http://", "https://")) or to.linked:
        to.words(label)
        return
    with to.style(MessageEntity.TEXT_LINK, src):
        to.words(label)


def _table(node: SyntaxTreeNode) -> str:
    rows = [row.children for part in node.children for row in part.children]
    texts = [[_cell(cell) for cell in row] for row in rows]
    widths = [max(map(_columns, column)) for column in zip(*texts, strict=True)]
    aligned = [
        " │ ".join(
            _aligned(text, width, str(cell.attrs.get("style", "")))
            for text, width, cell in zip(line, widths, row, strict=True)
        ).rstrip()
        for line, row in zip(texts, rows, strict=True)
    ]
    return "\n".join([aligned[0], "─┼─".join("─" * width for width in widths), *aligned[1:]])


def _cell(node: SyntaxTreeNode) -> str:
    plain = Writer()
    _inline(plain, node.children)
    rendered = plain.finish()
    return rendered.text.replace("\n", " ").replace(_JOINER, "") if rendered else ""


def _aligned(text: str, width: int, style: str) -> str:
    free = width - _columns(text)
    if "right" in style:
        return " " * free + text
    if "center" in style:
        return " " * (free // 2) + text + " " * (free - free // 2)
    return text + " " * free


def _columns(text: str) -> int:
    """How many columns of a fixed-width font `text` takes."""
    return sum(1 + (unicodedata.east_asian_width(char) in "WF") for char in text if _takes_room(char))


def _takes_room(char: str) -> bool:
    return not unicodedata.combining(char) and unicodedata.category(char) != "Cf"
