"""Markdown as a tree. Knows no platform and no limit: what it looks like in a room is each renderer's business."""

from collections.abc import Iterator
from functools import cache, lru_cache

from markdown_it import MarkdownIt
from markdown_it.token import Token
from markdown_it.tree import SyntaxTreeNode

_BREAKS = {"softbreak", "hardbreak"}
_LEAVES = {"text", "code_inline", "code_block", "fence"}
_LINES = {"paragraph", "heading", "code_block", "fence", "tr", "hr"}

# Levels of the tree; a list takes two for each of its own. markdown-it leaves out whatever lies deeper.
_DEEPEST = 50


@cache
def _parser(*without: str) -> MarkdownIt:
    # Without HTML: a model's <b> is text like any other, so no renderer has to make it harmless.
    options = {"html": False, "linkify": True, "maxNesting": _DEEPEST}
    return MarkdownIt("commonmark", options).enable(["table", "strikethrough", "linkify"]).disable(without)


@lru_cache(maxsize=32)  # a piece is measured, rendered and sent: the same source, several times in a row
def parse(source: str) -> SyntaxTreeNode:
    """The tree of `source`: CommonMark with tables, strikethrough and bare links; raw HTML is text.

    A bare or `<angled>` link is a node "link" with `node.info == "auto"`. The tree is shared between callers: it
    must not be changed. Where lists and quotes are nested too deep to be read, their marks are text as well.
    """
    return SyntaxTreeNode(tokens(source))


def tokens(source: str, *, without: tuple[str, ...] = ()) -> list[Token]:
    """`parse`, as markdown-it's flat list, which is the caller's own; `without` are its rules to leave out."""
    found = _parser(*without).parse(source)
    if any(token.level >= _DEEPEST - 1 for token in found):
        found = _parser("list", "blockquote", *without).parse(source)
    return found


def plain(source: str) -> str:
    """`source` without its marks: one line for each line of text, lists with their bullets and numbers."""
    return "\n".join(_plain_lines(parse(source))).strip("\n")


def text_of(node: SyntaxTreeNode) -> str:
    """The words in and below `node`, without marks."""
    if node.type in _LEAVES:
        return node.content
    if node.type in _BREAKS:
        return "\n"
    if node.type == "image" and not node.children:
        return node.content
    return "".join(text_of(child) for child in node.children)


def _plain_lines(node: SyntaxTreeNode) -> Iterator[str]:
    for child in node.children:
        match child.type:
            case "bullet_list" | "ordered_list":
                yield from _plain_items(child)
            case "tr":
                yield " | ".join(text_of(cell) for cell in child.children)
            case _ if child.type in _LINES:
                yield from text_of(child).rstrip("\n").split("\n")
            case _:
                yield from _plain_lines(child)
        if node.type == "root" and child is not node.children[-1]:
            yield ""


def _plain_items(node: SyntaxTreeNode) -> Iterator[str]:
    first = int(node.attrs.get("start", 1))
    for number, item in enumerate(node.children, first):
        mark = f"{number}. " if node.type == "ordered_list" else "- "
        for index, line in enumerate(_plain_lines(item)):
            yield (" " * len(mark) if index else mark) + line
