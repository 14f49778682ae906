"""The model's Markdown as Telegram shows it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.telegram.markup import ENTITY_LIMIT, LIMIT, render, size
from adapters.telegram.writer import utf16
from tests.fakes.telegram_text import entity_fault

JOINER = "\u2060"


def covered(source: str) -> list[tuple[str, str]]:
    """(kind, what lies under it) of each entity."""
    rendered = render(source)
    units = rendered.text.encode("utf-16-le")
    return [
        (str(e.type), units[e.offset * 2 : (e.offset + e.length) * 2].decode("utf-16-le"))
        for e in rendered.entities
    ]


@pytest.mark.parametrize(
    ("source", "text", "entities"),
    [
        ("plain 1 < 2 & _x", "plain 1 < 2 & _x", []),
        ("# Title\n\ntext", "Title\n\ntext", [("bold", "Title")]),
        ("**b** *i* ~~s~~", "b i s", [("bold", "b"), ("italic", "i"), ("strikethrough", "s")]),
        ("*i **both** i*", "i both i", [("italic", "i both i"), ("bold", "both")]),
        ("# a **b**", "a b", [("bold", "a b")]),
        ("😀 **b😀** `c`", "😀 b😀 c", [("bold", "b😀"), ("code", "c")]),
        ("**a `b` c**", "a b c", [("bold", "a "), ("code", "b"), ("bold", " c")]),
        ("```py\n  x\n```", "  x", [("pre", "  x")]),
        ("- a\n- b\n  - c\n\nd", "• a\n• b\n   ◦ c\n\nd", []),
        ("3. a\n4. b", "3. a\n4. b", []),
        ("1. a\n\n   b\n2. c", "1. a\n\n    b\n\n2. c", []),
        ("> q\n> `c`\n\na", "q\nc\n\na", [("blockquote", "q\nc"), ("code", "c")]),
        ("> q\n> > r", "q\n\n> r", [("blockquote", "q\n\n> r")]),
        ("[l](https://a.b)", "l", [("text_link", "l")]),
        ("[`c`](https://a.b)", "c", [("text_link", "c")]),
        ("[](https://a.b)", "https://a.b", [("text_link", "https://a.b")]),
        ("[l](/there)", "l (/there)", []),
        ("https://a.b/@x", "https://a.b/@x", []),
        ("![alt](https://a.b/i.png)", "alt", [("text_link", "alt")]),
        ("a  \nb\nc", "a\nb\nc", []),
        ("---", "————————", []),
        ("<b>x</b>", "<b>x</b>", []),
        ("**never closed", "**never closed", []),
        ("```\nnever closed", "never closed", [("pre", "never closed")]),
        ("שלום **עולם**", "שלום עולם", [("bold", "עולם")]),
    ],
)
def test_form(source: str, text: str, entities: list[tuple[str, str]]) -> None:
    assert render(source).text == text
    assert covered(source) == entities


def test_language_and_address_are_kept() -> None:
    (pre,) = render("```python title\nx\n```").entities
    (link,) = render("[l](https://a.b/?q=1&r=2)").entities
    assert pre.language == "python"
    assert link.url == "https://a.b/?q=1&r=2"


def test_table_is_aligned_by_columns_that_people_see() -> None:
    source = "| name | n |\n| --- | --: |\n| 日本 | 1 |\n| **x** | 22 |"
    assert covered(source) == [("pre", "name │  n\n─────┼───\n日本 │  1\nx    │ 22")]


@pytest.mark.parametrize("source", ["@everyone", "hi @ann_k!", "**@ann_k**", "[@ann_k](https://a.b)"])
def test_nobody_is_called(source: str) -> None:
    assert f"@{JOINER}" in render(source).text


@pytest.mark.parametrize("source", ["`@ann_k`", "```\n@decorator\n```", "ann@example.com", "<https://a.b/@ann>"])
def test_what_calls_nobody_stays_exact(source: str) -> None:
    assert JOINER not in render(source).text


def test_link_that_would_call_a_person_is_only_its_label() -> None:
    assert render("[ann](tg://user?id=5)").text == "ann"
    assert render("[ann](tg://user?id=5)").entities == ()


def test_size_counts_utf16_units_after_the_marks_are_gone() -> None:
    assert size("**😀**") == 2
    assert size("a" * LIMIT) == LIMIT


def test_too_many_entities_are_over_the_limit() -> None:
    assert size("`a` " * ENTITY_LIMIT) < LIMIT
    assert size("`a` " * (ENTITY_LIMIT + 1)) > LIMIT


@pytest.mark.parametrize("source", ["", "   ", "![](x)", "```\n```", ">", "-", "\u200b"])
def test_message_is_never_empty(source: str) -> None:
    assert render(source).text.strip().strip("\u200b")


@given(st.text(alphabet="ab😀\n *_~`[](){}<>#->|1.!@\\\u2028\ud83d", max_size=60))
def test_entities_always_lie_where_telegram_takes_them(source: str) -> None:
    rendered = render(source)
    assert entity_fault(rendered.text, [entity.to_dict() for entity in rendered.entities]) is None
    assert utf16(rendered.text) >= 1
