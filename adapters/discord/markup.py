"""The model's Markdown in Discord's dialect of it. No client, no room.

Discord shows headings to the third level, lists, one level of quotes, code and masked links, and no tables, images
or rules. What is text in the source must stay text: marks are escaped, also those that only Discord knows
(`||spoilers||`, `__underline__`, `-# small`, `<@mentions>`), and nobody is called by an @.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache

from markdown_it.tree import SyntaxTreeNode

from adapters.markdown import parse, text_of

LIMIT = 2000
"""Unicode code points in one message of a bot: https://discord.com/developers/docs/resources/message and, for what
is counted, discord/discord-api-docs#1315."""

_RULE = "─" * 12
_APART = "\u200b"  # seen by nobody, and parts what would be read as one mark
_JOINER = "\u2060"

_EVERYWHERE = re.compile(
    r"[\\*`]"  # escapes, emphasis, code
    r"|(?<![^\W_])_|_(?![^\W_])"  # emphasis and underline; within a_word it means nothing
    r"|~(?=~)|(?<=~)~"
    r"|\|(?=\|)|(?<=\|)\|"
    r"|<(?=@|#|a?:\w|t:|id:|https?://|/[^>\s]*:\d)"  # mentions, channels, emoji, times, commands, bare links
    r"|(?<=\])\("
)
_AT_LINE_START = re.compile(r"(?P<before>[ \t]*)(?P<mark>#{1,3}(?=\s|$)|-#|>|[-+](?=\s|$)|\d+(?=\.(?:\s|$)))")
_CALLS = re.compile(r"@(?=everyone|here)", re.IGNORECASE)
_LANGUAGE = re.compile(r"[a-z0-9_+\-.#]+", re.IGNORECASE)
_NOT_IN_HREF = str.maketrans({"(": "%28", ")": "%29", "<": "%3C", ">": "%3E", " ": "%20", "\\": "%5C"})


def size(source: str) -> int:
    """How much of `LIMIT` the Markdown `source` needs."""
    return len(render(source))


@lru_cache(maxsize=64)  # a piece is measured, and then sent
def render(source: str) -> str:
    """The Markdown `source` as the content of one message, whatever its length; never empty."""
    sound = source.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    return "\n".join(_blocks(parse(sound).children)).strip() or _escaped(sound.strip()) or "…"


def _blocks(nodes: Sequence[SyntaxTreeNode], *, loose: bool = True) -> Iterator[str]:
    """The lines of blocks that follow one another."""
    before: SyntaxTreeNode | None = None
    for node in nodes:
        lines = list(_block(node))
        if not lines:
            continue
        if before is not None and loose and before.type != "heading":
            yield ""
        yield from lines
        before = node


def _block(node: SyntaxTreeNode) -> Iterator[str]:
    match node.type:
        case "heading":
            yield from _heading(node)
        case "paragraph" | "inline":
            yield from _inline(node).split("\n")
        case "fence" | "code_block":
            yield from _fence(node.content, node.info)
        case "bullet_list" | "ordered_list":
            yield from _list(node)
        case "blockquote":
            yield from (f"> {line}" for line in _blocks(node.children))
        case "table":
            yield from _fence(_table(node))
        case "hr":
            yield _RULE
        case _:
            yield from _escaped(node.content).split("\n")


def _heading(node: SyntaxTreeNode) -> Iterator[str]:
    text = _inline(node).replace("\n", " ").strip()
    level = int(node.tag[1:])
    if not text:
        return
    within = node.parent is not None and node.parent.type == "list_item"
    yield f"{'#' * level} {text}" if level <= 3 and not within else f"**{text.replace('**', '')}**"


def _fence(content: str, info: str = "") -> Iterator[str]:
    language = _LANGUAGE.match(info.strip())
    yield f"```{language[0] if language else ''}"
    yield from (content.rstrip("\n") or " ").replace("```", f"`{_APART}`{_APART}`").split("\n")
    yield "```"


def _list(node: SyntaxTreeNode) -> Iterator[str]:
    first = int(node.attrs.get("start", 1))
    loose = any(
        child.type == "paragraph" and not child.hidden for item in node.children for child in item.children
    )
    for number, item in enumerate(node.children):
        if loose and number:
            yield ""
        mark = f"{first + number}. " if node.type == "ordered_list" else "- "
        yield from _item(mark, item, loose=loose)


def _item(mark: str, item: SyntaxTreeNode, *, loose: bool) -> Iterator[str]:
    lead, indent, code = mark, " " * len(mark), False
    lines = list(_blocks(item.children, loose=loose))
    if not lines or lines[0].startswith("```"):
        yield mark.rstrip()
        lead = indent
    for line in lines:
        fence = line.startswith("```")
        if fence or code:
            yield line  # code is copied: nothing may stand before it
        else:
            yield lead + line if line else line
        lead = indent
        code ^= fence


def _inline(node: SyntaxTreeNode) -> str:
    return _Words().of(node)


class _Words:
    """The words of one block. Styles within themselves are one style, and links hold no links."""

    def __init__(self) -> None:
        self._text = ""
        self._open: list[str] = []
        self._linked = False

    def of(self, node: SyntaxTreeNode) -> str:
        self._all(node.children or [node])
        return self._text

    def _all(self, nodes: Sequence[SyntaxTreeNode]) -> None:
        for node in nodes:
            self._one(node)

    def _one(self, node: SyntaxTreeNode) -> None:
        match node.type:
            case "inline":
                self._all(node.children)
            case "strong":
                self._styled("**", node)
            case "em":
                self._styled("*", node)
            case "s":
                self._styled("~~", node)
            case "code_inline":
                self._mark(_code(node.content))
            case "link":
                self._link(node)
            case "image":
                alt = text_of(node) or str(node.attrs.get("alt", ""))
                self._reference(str(node.attrs.get("src", "")), alt)
            case "softbreak" | "hardbreak":
                self._text += "\n"
            case _:
                self._words(node.content)

    def _words(self, text: str) -> None:
        text = _escaped(text, at_line_start=not self._text or self._text.endswith("\n"))
        self._text += text.replace("[", "\\[").replace("]", "\\]") if self._linked else text

    def _mark(self, mark: str) -> None:
        """Write a mark so that it does not become one with what stands before it."""
        if self._text and self._text[-1] == mark[0] and not self._text.endswith(f"\\{mark[0]}"):
            self._text += _APART
        self._text += mark

    def _styled(self, mark: str, node: SyntaxTreeNode) -> None:
        if mark in self._open:
            self._all(node.children)
            return
        # ***both*** is read as it should be; only two styles side by side must be kept apart.
        if self._open and self._text.endswith(self._open[-1]):
            self._text += mark
        else:
            self._mark(mark)
        self._open.append(mark)
        self._all(node.children)
        self._open.pop()
        self._text += mark

    def _link(self, node: SyntaxTreeNode) -> None:
        href, shown = str(node.attrs.get("href", "")), text_of(node)
        if self._linked:
            self._all(node.children)
        elif not href.startswith(("http://", "https://")):
            self._all(node.children)
            if node.info != "auto" and href and href != shown:
                self._words(f" ({href})")
        elif node.info == "auto" or shown in {"", href}:
            # In angles it ends where it ends. A bare name such as example.com stays the words that it is.
            self._text += f"<{href}>" if shown in {"", href} or shown.startswith("http") else _escaped(shown)
        else:
            self._linked = True
            self._text += "["
            self._all(node.children)
            self._text += f"]({href.translate(_NOT_IN_HREF)})"
            self._linked = False

    def _reference(self, href: str, label: str) -> None:
        if self._linked or not href.startswith(("http://", "https://")):
            self._words(label)
        elif label:
            words = _escaped(label).replace("[", "\\[").replace("]", "\\]").replace("\n", " ")
            self._text += f"[{words}]({href.translate(_NOT_IN_HREF)})"
        else:
            self._text += f"<{href}>"


def _escaped(text: str, *, at_line_start: bool = True) -> str:
    text = _CALLS.sub(f"@{_JOINER}", _EVERYWHERE.sub(r"\\\g<0>", text))
    first, *rest = text.split("\n")
    return "\n".join([_line(first) if at_line_start else first, *map(_line, rest)])


def _line(text: str) -> str:
    """Escape what means something only at the beginning of a line."""
    if (match := _AT_LINE_START.match(text)) is None:
        return text
    mark = f"{match['mark']}\\" if match["mark"].isdigit() else f"\\{match['mark']}"
    return match["before"] + mark + text[match.end() :]


def _code(content: str) -> str:
    runs = {len(run) for run in re.findall("`+", content)}
    if 1 not in runs and not any(run > 2 for run in runs):
        fence = "`"
    elif runs == {1}:
        fence = "``"
    else:
        # Three would begin a block, so the backticks in it are parted instead.
        fence, content = "``", content.replace("`", f"`{_APART}")
    edge = " " if content.startswith("`") or content.endswith("`") else ""
    return f"{fence}{edge}{content}{edge}{fence}"


def _table(node: SyntaxTreeNode) -> str:
    rows = [row.children for part in node.children for row in part.children]
    texts = [[text_of(cell).replace("\n", " ").strip() for cell in row] for row in rows]
    widths = [max(map(_columns, column)) for column in zip(*texts, strict=True)]
    aligned = [
        " │ ".join(
            _aligned(text, width, str(cell.attrs.get("style", "")))
            for text, width, cell in zip(line, widths, row, strict=True)
        ).rstrip()
        for line, row in zip(texts, rows, strict=True)
    ]
    return "\n".join([aligned[0], "─┼─".join("─" * width for width in widths), *aligned[1:]])


def _aligned(text: str, width: int, style: str) -> str:
    free = width - _columns(text)
    if "right" in style:
        return " " * free + text
    if "center" in style:
        return " " * (free // 2) + text + " " * (free - free // 2)
    return text + " " * free


def _columns(text: str) -> int:
    """How many columns of a fixed-width font `text` takes."""
    return sum(
        0
        if unicodedata.combining(char) or unicodedata.category(char) == "Cf"
        else 2
        if unicodedata.east_asian_width(char) in "WF"
        else 1
        for char in text
    )
