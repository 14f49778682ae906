"""Texts that a parser may give up on: no word of theirs is lost, in any form."""

import io
import re
from collections.abc import Callable

import pytest
from rich.console import Console

from adapters.discord import markup as discord
from adapters.markdown import cut, plain
from adapters.slack import markup as slack
from adapters.telegram import markup as telegram
from adapters.terminal.screen import Screen
from adapters.web import markup as web
from core.turns import Draft


def on_a_screen(source: str) -> str:
    written = io.StringIO()
    Screen(Console(file=written, width=4000)).draw(Draft(source, final=True))
    return written.getvalue()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": plain,
    "discord": discord.render,
    "slack": slack.render,
    "telegram": lambda source: telegram.render(source).text,
    "terminal": on_a_screen,
    "web": lambda source: "".join(web.blocks(source, final=True)),
}


def words(text: str) -> list[str]:
    return re.findall(r"\bw\d+\b", text)


@pytest.fixture(params=FORMS)
def shown(request: pytest.FixtureRequest) -> Callable[[str], str]:
    return FORMS[request.param]


@pytest.mark.parametrize("depth", [9, 10, 24, 25, 60, 200])
def test_no_word_is_lost_however_deep_it_lies(shown: Callable[[str], str], depth: int) -> None:
    nested = "\n".join(f"{'  ' * level}- w{level}" for level in range(depth))
    assert words(shown(nested)) == [f"w{level}" for level in range(depth)]
    assert words(shown("> " * depth + "w0")) == ["w0"]


def test_no_word_is_lost_in_what_looks_like_html(shown: Callable[[str], str]) -> None:
    source = "<div>\nw0\n</div>\n\nw1 <span>w2</span> <!-- w3 -->\n\n<script>w4</script>\n\n<!-- w5"
    assert words(shown(source)) == [f"w{number}" for number in range(6)]


@pytest.mark.parametrize("mark", ["> ", "  - ", "[", "**", "<b>", "| "])
def test_what_is_nested_without_end_is_cut_like_any_other(mark: str) -> None:
    text, start, found = f"{mark * 700}w0", 0, ""
    while start < len(text):
        piece = cut(text, start, 2000, len, final=True)
        found, start = found + piece.source, piece.end
    assert words(plain(found)) == ["w0"]
