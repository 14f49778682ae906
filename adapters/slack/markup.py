"""The model's Markdown as the standard Markdown that Slack renders by itself. No client, no room.

Slack takes `markdown_text` for a new message and for an edit alike: headings, lists, tables, quotes, links and
code come out in its own form, up to 12,000 characters, and notifications get a text made from it
(https://docs.slack.dev/reference/block-kit/blocks/markdown-block). The older `mrkdwn` has neither headings nor
tables, and an edit of it holds 4,000 characters.

The tree is written out in one normal form, so that what reaches Slack's parser is plain: no HTML, no reference
links, no half-open marks. Whatever would call people (`<!channel>`, `<@U1>`, `@here`) is broken by a character
that nobody sees.
"""

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache

from markdown_it.tree import SyntaxTreeNode

from adapters.markdown import parse, plain

LIMIT = 12_000
"""Characters in one message: https://docs.slack.dev/reference/methods/chat.postMessage, `markdown_text`."""

_UNSEEN = "\u200b"
# Slack reads these wherever they stand, also within code.
_CALL = re.compile(r"<(?=[!@#])")
_CALL_WORD = re.compile(r"@(?=(?:channel|everyone|group|here)\b)", re.IGNORECASE)

_MARK = re.compile(r"[\\`*_~\]<&]")
_PUNCTUATION = frozenset("!\"#$%&'()*+,-./:;<=>?@[\\]^_`{|}~")
_ENTITY = re.compile(r"&#?\w+;")
_LINE_MARK = re.compile(r"#{1,6}(?=\s|$)|>|[-+](?=\s|$)|=+\s*$|-+\s*$|\[(?=[^\]\n]*\]:)|\|?[ ]*:?-+:?[ ]*\|")
_LINE_NUMBER = re.compile(r"(\d{1,9})([.)])(?=\s|$)")
_TICKS = re.compile(r"`+")
_TILDES = re.compile(r"~+")


def size(source: str) -> int:
    """How much of `LIMIT` the Markdown `source` needs, in UTF-16 units: at least what Slack may count."""
    return len(render(source).encode("utf-16-le")) // 2


@lru_cache(maxsize=64)  # a piece is measured, and then sent
def render(source: str) -> str:
    """The Markdown `source` in Slack's form, whatever its length."""
    source = source.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    text = "\n".join(_blocks(parse(source).children)).strip("\n") or source.strip()
    return _CALL.sub("<" + _UNSEEN, text)


def unformatted(source: str) -> str:
    """The words of `source`, escaped for Slack's `text`: what is shown if Slack cannot take the form."""
    text = _CALL_WORD.sub("@" + _UNSEEN, plain(source))
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _blocks(nodes: Sequence[SyntaxTreeNode], *, tight: bool = False) -> Iterator[str]:
    """The lines of some blocks, one after the other."""
    before: SyntaxTreeNode | None = None
    other_mark = False
    for node in nodes:
        if before is not None and not (tight and node.type != "paragraph"):
            yield ""
        # Two lists that follow each other would be one if they had the same marks.
        other_mark = before is not None and before.type == node.type and not other_mark
        yield from _block(node, other_mark=other_mark)
        before = node


def _block(node: SyntaxTreeNode, *, other_mark: bool) -> Iterator[str]:
    match node.type:
        case "paragraph":
            yield from _paragraph(node)
        case "heading":
            yield f"{'#' * int(node.tag[1:])} {_one_line(node)}".rstrip()
        case "fence" | "code_block":
            yield from _fence(node)
        case "blockquote":
            for line in _blocks(node.children):
                yield f"> {line}".rstrip()
        case "bullet_list" | "ordered_list":
            yield from _list(node, other_mark=other_mark)
        case "table":
            yield from _table(node)
        case "hr":
            yield "---"
        case _:
            yield from _blocks(node.children)


def _paragraph(node: SyntaxTreeNode) -> Iterator[str]:
    for line in _inlines(node).split("\n"):
        if (number := _LINE_NUMBER.match(line)) is not None:
            yield f"{number[1]}\\{line[number.end(1) :]}"
        else:
            yield "\\" + line if _LINE_MARK.match(line) else line


def _fence(node: SyntaxTreeNode) -> Iterator[str]:
    language = node.info.strip()
    pattern, sign = (_TILDES, "~") if "`" in language else (_TICKS, "`")
    bar = sign * max(3, 1 + max((len(run) for run in pattern.findall(node.content)), default=0))
    yield bar + language
    if node.content:
        yield from node.content.removesuffix("\n").split("\n")
    yield bar


def _list(node: SyntaxTreeNode, *, other_mark: bool) -> Iterator[str]:
    number = int(node.attrs.get("start", 1))
    tight = all(child.hidden for item in node.children for child in item.children if child.type == "paragraph")
    for index, item in enumerate(node.children):
        if node.type == "ordered_list":
            mark = f"{number + index}{')' if other_mark else '.'} "
        else:
            mark = "* " if other_mark else "- "
        if index and not tight:
            yield ""
        lines = list(_blocks(item.children, tight=tight)) or [""]
        yield (mark + lines[0]).rstrip()
        for line in lines[1:]:
            yield (" " * len(mark) + line).rstrip()


def _table(node: SyntaxTreeNode) -> Iterator[str]:
    rows = [row for part in node.children for row in part.children]
    for index, row in enumerate(rows):
        yield "| " + " | ".join(_one_line(cell).replace("|", "\\|") for cell in row.children) + " |"
        if index == 0:
            yield "| " + " | ".join(_alignment(cell) for cell in row.children) + " |"


def _alignment(cell: SyntaxTreeNode) -> str:
    style = str(cell.attrs.get("style", ""))
    return {"left": ":---", "center": ":---:", "right": "---:"}.get(style.removeprefix("text-align:"), "---")


def _one_line(node: SyntaxTreeNode) -> str:
    return re.sub(r"[ ]*\n", " ", _inlines(node))


def _inlines(node: SyntaxTreeNode, within: frozenset[str] = frozenset()) -> str:
    """The inline form of what is below `node`; `within` are the kinds of inlines around it."""
    children = [
        inner for child in node.children for inner in (child.children if child.type == "inline" else [child])
    ]
    written = ""
    for index, child in enumerate(children):
        after = children[index + 1] if index + 1 < len(children) else None
        alone = not (written[-1:].isalnum() or written.endswith("_") or (after and after.content[:1].isalnum()))
        written += _inline(child, within, em="_" if alone else "*")
    return written


def _inline(node: SyntaxTreeNode, within: frozenset[str], *, em: str) -> str:
    match node.type:
        case "text":
            return _text(node.content, within)
        case "softbreak":
            return "\n"
        case "hardbreak":
            return "  \n"
        case "code_inline":
            return _code(node.content)
        case "em" | "strong" | "s" if node.type not in within:
            mark = {"em": em, "strong": "**", "s": "~~"}[node.type]
            inner = _inlines(node, within | {node.type})
            return f"{mark}{inner}{mark}" if inner and inner == inner.strip() else inner
        case "link":
            return _link(node, within)
        case "image":
            return _image(node, within)
        case _:
            return _inlines(node, within)  # bold within bold is bold


def _code(content: str) -> str:
    bar = "`" * (1 + max((len(run) for run in _TICKS.findall(content)), default=0))
    spaced = content.startswith("`") or content.endswith("`") or (content[:1] == content[-1:] == " " != content)
    return f"{bar} {content} {bar}" if spaced and content.strip() else f"{bar}{content}{bar}"


def _link(node: SyntaxTreeNode, within: frozenset[str]) -> str:
    url = str(node.attrs.get("href", ""))
    if node.info == "auto" and node.children and node.children[0].content == url:
        return f"<{url}>"
    return f"[{_inlines(node, within | {'link'})}]({_target(url)})"


def _image(node: SyntaxTreeNode, within: frozenset[str]) -> str:
    """Slack shows no pictures of others within a text; a link says where the picture is."""
    label = _inlines(node, within | {"link"}) or _text(node.content, within | {"link"})
    return label if "link" in within else f"[{label}]({_target(str(node.attrs.get('src', '')))})"


def _target(url: str) -> str:
    for sign in "()<> \\":
        url = url.replace(sign, f"%{ord(sign):02X}")
    return url


def _text(content: str, within: frozenset[str]) -> str:
    content = _CALL_WORD.sub("@" + _UNSEEN, content)

    def escaped(match: re.Match[str]) -> str:
        before, after = content[max(0, match.start() - 1) : match.start()], content[match.end() : match.end() + 1]
        return "\\" + match[0] if _is_mark(match, before, after, within) else match[0]

    marked = _MARK.sub(escaped, content)
    return marked.replace("[", "\\[") if "link" in within else marked


def _is_mark(match: re.Match[str], before: str, after: str, within: frozenset[str]) -> bool:
    """Whether Markdown would read more into this character than itself."""
    match match[0]:
        case "`":
            return True
        case "\\":
            return not after or after in _PUNCTUATION
        case "*":
            return not (before.isspace() and after.isspace())
        case "_":
            return not (before.isalnum() and after.isalnum()) and not (before.isspace() and after.isspace())
        case "~":
            return not before or not after or "~" in before + after
        case "]":
            return "link" in within or after in ("(", "[")
        case "<":
            return after.isalpha() or after in ("/", "?")
        case _:
            return _ENTITY.match(match.string, match.start()) is not None
