"""The model's Markdown as HTML that is safe and stands still while it grows."""

from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.web.markup import blocks

ALLOWED_TAGS = frozenset(
    {
        "a",
        "blockquote",
        "br",
        "code",
        "div",
        "em",
        "h3",
        "h4",
        "h5",
        "h6",
        "hr",
        "li",
        "ol",
        "p",
        "pre",
        "s",
        "span",
    }
    | {"strong", "table", "tbody", "td", "th", "thead", "tr", "ul"}
)
ALLOWED_ATTRIBUTES = frozenset(["class", "dir", "href", "rel", "start", "target", "title"])


def html(source: str) -> str:
    return "\n".join(blocks(source, final=True))


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("**bold** *slanted*", '<p dir="auto"><strong>bold</strong> <em>slanted</em></p>'),
        ("~~gone~~ and `code`", '<p dir="auto"><s>gone</s> and <code>code</code></p>'),
        ("one\ntwo", '<p dir="auto">one<br>two</p>'),
        ("# Title", '<h3 dir="auto">Title</h3>'),
        ("- a\n- b", '<ul dir="auto"><li>a\n</li><li>b\n</li></ul>'),
        ("3. a\n4. b", '<ol dir="auto" start="3"><li>a\n</li><li>b\n</li></ol>'),
        ("- a\n\n- b", '<ul dir="auto"><li><p>a</p></li><li><p>b</p></li></ul>'),
        ("> said", '<blockquote dir="auto"><p>said</p></blockquote>'),
        ("---", '<hr dir="auto">'),
        ("1 < 2 & 3 > 2", '<p dir="auto">1 &lt; 2 &amp; 3 &gt; 2</p>'),
    ],
)  # fmt: skip
def test_markdown_becomes_html(source: str, expected: str) -> None:
    assert html(source) == expected


def test_link_opens_elsewhere_and_tells_nothing() -> None:
    made = html("[a](https://example.com/?x=1&y=2)")
    assert 'href="https://example.com/?x=1&amp;y=2"' in made
    assert 'rel="noopener noreferrer"' in made
    assert 'target="_blank"' in made


def test_image_becomes_a_link_and_loads_nothing() -> None:
    made = html("![a cat](https://example.com/cat.png)")
    assert "<img" not in made
    assert ">a cat</a>" in made


def test_code_is_coloured_by_classes_and_kept_as_it_is() -> None:
    made = html('```python\nprint("<b>")\n```')
    assert '<div class="language">python</div>' in made
    assert '<span class="nb">print</span>' in made
    assert "&lt;b&gt;" in made
    assert "style=" not in made


@pytest.mark.parametrize("info", ["", "no-such-language", '"><script>', "python extra words"])
def test_code_in_any_language_is_shown(info: str) -> None:
    made = html(f"```{info}\nx = 1\n```")
    assert '<pre dir="ltr"><code>' in made
    assert "<script" not in made


def test_table_keeps_its_columns_sides() -> None:
    made = html("| a | b |\n| :-- | --: |\n| 1 | 2 |")
    assert '<td class="right">2</td>' in made
    assert "<td>1</td>" in made


def test_each_block_finds_its_own_direction() -> None:
    assert [block[:14] for block in blocks("שלום\n\nhello", final=True)] == ['<p dir="auto">'] * 2


def test_blocks_above_stay_the_same_while_the_last_one_grows() -> None:
    text = "First.\n\n- a\n- b\n\n```py\nx = 1\n```\n\nLast words **here**."
    before: tuple[str, ...] = ()
    for end in range(1, len(text) + 1):
        now = blocks(text[:end], final=False)
        if len(now) > len(before) > 1:
            assert now[: len(before) - 1] == before[:-1]
        before = now
    assert before[:3] == blocks(text, final=True)[:3]


def test_draft_shows_no_half_open_mark() -> None:
    assert html_of_draft("This is **bo") == '<p dir="auto">This is <strong>bo</strong></p>'


def html_of_draft(source: str) -> str:
    return "\n".join(blocks(source, final=False))


@pytest.mark.parametrize(
    "attack",
    [
        "<script>alert(1)</script>",
        "<img src=x onerror=alert(1)>",
        "<svg/onload=alert(1)>",
        "<iframe src=javascript:alert(1)></iframe>",
        "[a](javascript:alert(1))",
        "[a](JaVaScRiPt&colon;alert(1))",
        "[a](data:text/html,<script>alert(1)</script>)",
        "[a](vbscript:x)",
        '[a](https://e.com "onmouseover=alert(1) x=\\"")',
        '[a](https://e.com/"onmouseover="alert(1))',
        "![a](javascript:alert(1))",
        "<javascript:alert(1)>",
        "`<script>`",
        "```html\n<script>alert(1)</script>\n```",
        "[a]: javascript:alert(1)\n\n[a]",
        "# <img src=x onerror=alert(1)>",
        "| <script> |\n| - |\n| <img onerror=1> |",
        "&lt;script&gt;alert(1)&lt;/script&gt;",
        "<!--><script>alert(1)</script>-->",
        "<a href='https://e.com' onclick='alert(1)'>x</a>",
    ],
)
def test_attack_is_inert(attack: str) -> None:
    for final in (True, False):
        check("\n".join(blocks(attack, final=final)))


@given(st.text(alphabet="<>&\"'`[]()!*_~#|-:;=/\\ \nabscript", max_size=80))
def test_any_text_makes_only_harmless_html(source: str) -> None:
    check(html(source))


def check(made: str) -> None:
    class Check(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            assert tag in ALLOWED_TAGS
            for name, value in attrs:
                assert name in ALLOWED_ATTRIBUTES
                if name == "href":
                    assert value is not None
                    assert value.startswith(("http://", "https://", "mailto:"))

        def handle_decl(self, decl: str) -> None:
            raise AssertionError(decl)

        def handle_comment(self, data: str) -> None:
            raise AssertionError(data)

    parser = Check()
    parser.feed(made)
    parser.close()
