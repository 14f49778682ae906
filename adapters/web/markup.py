"""The model's Markdown as safe HTML, block by block, for a page that draws only what has changed.

Everything is escaped where it is written, and the result is sanitised all the same: a model says what strangers
ask it to say. Images become links, because loading one would tell its host who reads.
"""

from collections.abc import Callable, Iterable
from functools import lru_cache
from html import escape
from typing import Any

import nh3
from markdown_it.tree import SyntaxTreeNode
from pygments import highlight
from pygments.formatters import HtmlFormatter
from pygments.lexer import Lexer
from pygments.lexers import get_lexer_by_name
from pygments.token import STANDARD_TYPES
from pygments.util import ClassNotFound

from adapters.markdown import heal, parse

# Colours are not worth more time than this; longer code is shown plainly.
_MOST_HIGHLIGHTED = 20_000

_PLAIN_TAGS = {
    "blockquote": "blockquote",
    "bullet_list": "ul",
    "em": "em",
    "list_item": "li",
    "s": "s",
    "strong": "strong",
    "table": "table",
    "tbody": "tbody",
    "thead": "thead",
    "tr": "tr",
}
_HEADINGS = {"h1": "h3", "h2": "h4", "h3": "h5", "h4": "h6", "h5": "h6", "h6": "h6"}  # the page's own come first

_formatter: HtmlFormatter[str] = HtmlFormatter(nowrap=True)
_cleaner = nh3.Cleaner(
    tags={*_PLAIN_TAGS.values(), *_HEADINGS.values()}
    | {"a", "br", "code", "div", "hr", "ol", "p", "pre", "span", "td", "th"},
    attributes={"*": {"dir"}, "a": {"href", "title"}, "ol": {"start"}},
    allowed_classes={
        "div": {"code", "language", "wide"},
        "span": set(STANDARD_TYPES.values()) - {""},
        "td": {"center", "right"},
        "th": {"center", "right"},
    },
    url_schemes={"http", "https", "mailto"},
    url_relative="deny",
    link_rel="noopener noreferrer",
    set_tag_attribute_values={"a": {"target": "_blank"}},
)


@lru_cache(maxsize=256)
def blocks(source: str, *, final: bool) -> tuple[str, ...]:
    """One piece of HTML for each block of `source`, safe to be put into a page as it is.

    While a text is still being written (not `final`), a mark that is half open at its end is not shown raw. The
    blocks but the last mostly stay the same while a text grows.
    """
    root = parse(source if final else heal(source))
    return tuple(_cleaner.clean(_block(node)) for node in root.children)


def _block(node: SyntaxTreeNode) -> str:
    """A block at the top: each finds its own direction of writing."""
    if node.type in {"fence", "code_block"}:
        return _code(node)
    if node.type == "table":
        return f'<div class="wide">{_with_direction(_html(node))}</div>'
    return _with_direction(_html(node))


def _with_direction(html: str) -> str:
    name_ends = next((i for i, char in enumerate(html) if char in " >/"), 0)
    return f'{html[:name_ends]} dir="auto"{html[name_ends:]}' if html.startswith("<") else html


def _html(node: SyntaxTreeNode) -> str:
    if writer := _WRITERS.get(node.type):
        return writer(node)
    if tag := _PLAIN_TAGS.get(node.type):
        return f"<{tag}>{_inner(node)}</{tag}>"
    return _inner(node) if node.children else escape(node.content)


def _inner(node: SyntaxTreeNode) -> str:
    return "".join(map(_html, node.children))


def _paragraph(node: SyntaxTreeNode) -> str:
    return f"{_inner(node)}\n" if node.hidden else f"<p>{_inner(node)}</p>"


def _heading(node: SyntaxTreeNode) -> str:
    tag = _HEADINGS[node.tag]
    return f"<{tag}>{_inner(node)}</{tag}>"


def _ordered_list(node: SyntaxTreeNode) -> str:
    return f"{_open('ol', [('start', node.attrs.get('start', 1))])}{_inner(node)}</ol>"


def _cell(node: SyntaxTreeNode) -> str:
    style = str(node.attrs.get("style", ""))
    side = next((side for side in ("center", "right") if style.endswith(side)), "")
    return f"{_open(node.tag, [('class', side)])}{_inner(node)}</{node.tag}>"


def _link(node: SyntaxTreeNode) -> str:
    target = [("href", node.attrs.get("href")), ("title", node.attrs.get("title"))]
    return f"{_open('a', target)}{_inner(node)}</a>"


def _image(node: SyntaxTreeNode) -> str:
    target = [("href", node.attrs.get("src")), ("title", node.attrs.get("title"))]
    return f"{_open('a', target)}{_inner(node) or escape(node.content) or 'image'}</a>"


def _code(node: SyntaxTreeNode) -> str:
    language = node.info.split()[0] if node.type == "fence" and node.info.split() else ""
    label = f'<div class="language">{escape(language)}</div>'
    return f'<div class="code">{label}<pre dir="ltr"><code>{_coloured(node.content, language)}</code></pre></div>'


def _coloured(code: str, language: str) -> str:
    lexer = _lexer(language.lower())
    if lexer is None or len(code) > _MOST_HIGHLIGHTED:
        return escape(code)
    return highlight(code, lexer, _formatter)


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    try:
        return get_lexer_by_name(language, stripnl=False)
    except ClassNotFound:
        return None


def _open(tag: str, attributes: Iterable[tuple[str, Any]]) -> str:
    written = "".join(f' {name}="{escape(str(value))}"' for name, value in attributes if value not in {None, ""})
    return f"<{tag}{written}>"


_WRITERS: dict[str, Callable[[SyntaxTreeNode], str]] = {
    "code_block": _code,
    "code_inline": lambda node: f"<code>{escape(node.content)}</code>",
    "fence": _code,
    "hardbreak": lambda _: "<br>",
    "heading": _heading,
    "hr": lambda _: "<hr>",
    "image": _image,
    "link": _link,
    "ordered_list": _ordered_list,
    "paragraph": _paragraph,
    "softbreak": lambda _: "<br>",  # as in every chat: a line that was ended is ended
    "td": _cell,
    "th": _cell,
}
