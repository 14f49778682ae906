"""Parsing, cutting and healing the model's Markdown, platform by no platform: what fits is a length."""

import random
from itertools import accumulate

import pytest
import regex
from hypothesis import example, given, settings
from hypothesis import strategies as st
from markdown_it.tree import SyntaxTreeNode

from adapters.markdown import Piece, cut, heal, parse, plain
from adapters.markdown.marks import marks

ANSWER = """# Making tea

Boil *fresh* water; **never** use `water()` twice. See [the guide](https://example.com/tea?a=1&b=2) for more.

1. Warm the pot.
2. Add the leaves:
   - one spoon for each person
   - one for the pot
3. Wait.

```python
def brew(minutes: int) -> str:
    return f"tea after {minutes}"

print(brew(4))
```

| kind  | minutes |
|-------|---------|
| black | 4       |
| green | 2       |
| white | 3       |

> A quote that is long enough to be cut in two, and that has **bold words in it** as well.

The end. 茶は美味しいです。👨‍👩‍👧‍👦 🇩🇪🇯🇵 naïve
"""

words = st.text("abc é茶👨‍👩‍👧🇩🇪.,", min_size=1, max_size=12)
inline = st.one_of(
    words,
    words.map(lambda text: f"**{text.strip() or 'x'}**"),
    words.map(lambda text: f"*{text.strip() or 'x'}*"),
    words.map(lambda text: f"`{text}`"),
    words.map(lambda text: f"[{text}](https://example.com/{len(text)})"),
    st.sampled_from(
        ["~~gone~~", "https://example.com/a_b", "snake_case", "2 * 3", "**", "`", "[", "](", "_", "\\"]
    ),
)
lines = st.lists(inline, min_size=1, max_size=6).map(" ".join)
blocks = st.one_of(
    st.lists(lines, min_size=1, max_size=3).map("\n".join),
    lines.map(lambda line: f"## {line}"),
    st.lists(lines, min_size=1, max_size=4).map(lambda items: "\n".join(f"- {item}" for item in items)),
    st.lists(lines, min_size=1, max_size=4).map(lambda items: "\n".join(f"1. {item}" for item in items)),
    st.lists(lines, min_size=1, max_size=4).map(lambda items: "\n".join(f"> {item}" for item in items)),
    st.lists(words, min_size=1, max_size=5).map(lambda code: "\n".join(["```py", *code, "```"])),
    st.lists(words, min_size=1, max_size=3).map(lambda code: "\n".join(["~~~~", *code])),
    st.lists(words, min_size=1, max_size=4).map(
        lambda rows: "\n".join(["| a | b |", "|---|---|", *(f"| {row} | 1 |" for row in rows)])
    ),
)
documents = st.lists(blocks, min_size=1, max_size=6).map("\n\n".join)


def pieces(text: str, limit: int, *, final: bool = True) -> list[Piece]:
    found, start = [], 0
    while start < len(text):
        found.append(cut(text, start, limit, len, final=final))
        assert found[-1].end > start
        start = found[-1].end
    return found


def sources(text: str, limit: int) -> list[str]:
    return [piece.source for piece in pieces(text, limit)]


def nodes(source: str, kind: str) -> list[SyntaxTreeNode]:
    return [node for node in parse(source).walk() if node.type == kind]


# Parsing


def test_raw_html_is_text() -> None:
    assert plain("<b>bold</b> <script>alert(1)</script>") == "<b>bold</b> <script>alert(1)</script>"


def test_bare_links_tables_and_strikethrough_are_understood() -> None:
    tree = "see https://example.com ~~not~~\n\n|a|b|\n|-|-|\n|1|2|"
    assert [node.info for node in nodes(tree, "link")] == ["auto"]
    assert nodes(tree, "s")
    assert len(nodes(tree, "tr")) == 2


def test_plain_keeps_words_and_drops_marks() -> None:
    assert plain("# Hi\n\na **b** `c`\n\n3. x\n4. y\n   - z\n\n```py\n1 < 2\n```\n\n|a|b|\n|-|-|\n|1|2|") == (
        "Hi\n\na b c\n\n3. x\n4. y\n   - z\n\n1 < 2\n\na | b\n1 | 2"
    )


@pytest.mark.parametrize(
    ("text", "kinds"),
    [
        ("a *b **c** d* e", ["em", "strong"]),
        ("*a**b*", ["em"]),
        ("***a** b*", ["em", "strong"]),
        ("**a*", ["em"]),
        ("x._._a__.x", ["em"]),
        ("snake_case_name 2*3 4 * 5", []),
        ("`*a*` \\*b\\* [c *d*](e) ~~f~~", ["code_inline", "link", "em", "s"]),
        ("[not a link] *x*", ["em"]),
        ("`` a ` b ``", ["code_inline"]),
    ],
)
def test_marks_are_found_where_the_parser_finds_them(text: str, kinds: list[str]) -> None:
    found = {"code": ["code_inline"], "link": ["link"], "emphasis": ["em", "strong", "s"]}
    parsed = [
        node.type for node in parse(text).walk() if node.type in {"em", "strong", "s", "code_inline", "link"}
    ]
    assert parsed == kinds
    whole = marks(text, 0, len(text)).whole
    assert len(whole) == len(kinds)
    assert all(kind in found[mark.kind] for mark, kind in zip(whole, kinds, strict=True))


@given(st.text("ab *_`~.", max_size=16))
def test_emphasis_and_code_are_counted_as_the_parser_counts_them(text: str) -> None:
    text = f"x{text}x"  # neither a block of another kind, nor trimmed
    for mark, kinds in (("code", {"code_inline"}), ("emphasis", {"em", "strong", "s"})):
        parsed = [node for node in parse(text).walk() if node.type in kinds]
        assert len([found for found in marks(text, 0, len(text)).whole if found.kind == mark]) == len(parsed)


# Cutting


def test_what_fits_is_one_piece() -> None:
    assert cut("a *b*\n", 0, 10, len, final=True) == Piece("a *b*", 6)


@given(documents, st.integers(1, 120), st.booleans())
@example(ANSWER, 60, True)
@example(" " * 300 + "a", 20, True)
@example("a" + "\n" * 300 + "a", 20, True)
@settings(max_examples=300, deadline=None)
def test_pieces_fit_and_nothing_is_lost(text: str, limit: int, final: bool) -> None:
    start = 0
    for piece in pieces(text, limit, final=final):
        assert start < piece.end <= len(text)
        single = regex.match(r"\s*\X\s*", text[start : piece.end])
        assert len(piece.source) <= limit or (single and single.end() == piece.end - start)
        start = piece.end
    assert start == len(text)


@given(documents, st.integers(60, 150))
@example(ANSWER, 80)
@settings(max_examples=200, deadline=None)
def test_every_word_is_shown_once_and_in_order(text: str, limit: int) -> None:
    """But for table headers, which are shown again."""
    whole = [letter for letter in plain(text) if letter.isalpha()]
    shown = iter(letter for source in sources(text, limit) for letter in plain(source) if letter.isalpha())
    assert all(letter in shown for letter in whole)


def test_cuts_between_blocks_rather_than_in_them() -> None:
    assert sources("first one.\n\nsecond one.\n\nthird one.", 28) == ["first one.\n\nsecond one.", "third one."]


def test_cuts_between_lines_then_sentences_then_words() -> None:
    assert sources("aaa bbb ccc\nddd eee fff", 18) == ["aaa bbb ccc", "ddd eee fff"]
    assert sources("Aaa bbb. Ccc ddd eee", 15) == ["Aaa bbb.", "Ccc ddd eee"]
    assert sources("aaa bbb ccc ddd", 9) == ["aaa bbb", "ccc ddd"]


def test_a_heading_stays_with_what_it_is_above() -> None:
    assert sources("some words here\n\n## Head\n\nmore words here", 30) == [
        "some words here",
        "## Head\n\nmore words here",
    ]


def test_cuts_between_graphemes_where_there_are_no_words() -> None:
    family, flag = "👨‍👩‍👧‍👦", "🇩🇪"
    assert sources(family * 3, 15) == [family * 2, family]
    assert sources(flag * 4, 5) == [flag * 2, flag * 2]
    assert sources("e\u0301" * 4, 5) == ["e\u0301" * 2] * 2


def test_one_grapheme_is_emitted_even_if_it_is_too_long() -> None:
    family = "👨‍👩‍👧‍👦"
    assert sources(family * 2, 3) == [family, family]


def test_a_fence_is_closed_and_opened_again() -> None:
    text = "```python\n" + "".join(f"line_{n} = {n}\n" for n in range(8)) + "```\n"
    shown = sources(text, 60)
    assert len(shown) > 1
    codes = [nodes(source, "fence") for source in shown]
    assert all(len(found) == 1 and found[0].info == "python" for found in codes)
    assert "".join(found[0].content for found in codes) == "".join(f"line_{n} = {n}\n" for n in range(8))


def test_a_fence_in_a_list_keeps_its_code_as_it_is() -> None:
    steps = [f"step {n}\n\n  indented\n" for n in range(6)]
    code = "".join(steps).replace("step", "   step").replace("  indented", "     indented")
    shown = sources(f"1. do this:\n\n   ```sh\n{code}   ```\n2. done\n", 70)
    fences = [fence.content for source in shown for fence in nodes(source, "fence")]
    assert len(fences) > 2
    assert "".join(fences) == "".join(steps)
    assert plain(shown[-1]).endswith("2. done")


def test_a_fence_that_never_closes_is_closed_in_every_piece() -> None:
    assert sources("a\n\n```\ncode 1\ncode 2\ncode 3", 22) == ["a\n\n```\ncode 1\n```", "```\ncode 2\ncode 3\n```"]


def test_a_table_is_cut_between_rows_and_has_its_header_again() -> None:
    text = "| a | b |\n|---|---|\n" + "".join(f"| {n} | x |\n" for n in range(6))
    shown = sources(text, 50)
    assert len(shown) == 2
    assert [len(nodes(source, "tr")) for source in shown] == [4, 4]
    assert all(source.startswith("| a | b |\n|---|---|\n") for source in shown)


def test_a_numbered_list_keeps_its_numbers() -> None:
    explicit = "".join(f"{n}. item\n" for n in range(1, 8))
    lazy = "1. item\n" * 7
    for text in (explicit, lazy):
        assert "\n".join(plain(source) for source in sources(text, 32)).split() == explicit.split()


def test_a_quote_stays_a_quote() -> None:
    shown = sources("> one two three four five six seven", 20)
    assert len(shown) > 1
    assert all(nodes(source, "blockquote") for source in shown)


@pytest.mark.parametrize("mark", ["`code is here`", "[a link](https://example.com)", "https://example.com/long"])
def test_what_fits_into_a_message_is_never_cut_in_two(mark: str) -> None:
    for before in range(40):
        text = "x" * before + f" {mark} and more words after it"
        assert any(mark in source for source in sources(text, 45))


def test_emphasis_is_cut_only_where_it_is_longer_than_a_message() -> None:
    assert sources("some words **bold words** more words", 26) == ["some words **bold words**", "more words"]
    assert sources("**" + "bold " * 7 + "end**", 24) == ["**bold bold bold bold**", "**bold bold bold end**"]


def test_a_long_hidden_address_does_not_count() -> None:
    text = f"[one](https://example.com/{'a' * 200}) two [three](https://example.com/{'b' * 200}) four"
    shown = []
    start = 0
    while start < len(text):
        piece = cut(text, start, 12, lambda source: len(plain(source)), final=True)
        shown.append(plain(piece.source))
        start = piece.end
    assert shown == ["one two", "three four"]


@given(
    st.lists(
        st.sampled_from(["word ", "Sentence. ", "line\n", "block\n\n", "茶。", "🇩🇪"]), min_size=1, max_size=60
    )
)
@settings(max_examples=200, deadline=None)
def test_a_text_without_marks_keeps_its_cuts_while_it_grows(tokens: list[str]) -> None:
    previous: list[Piece] = []
    for text in accumulate(tokens):
        now = pieces(text, 40, final=False)
        assert now[: len(previous) - 1] == previous[:-1]
        previous = now


def test_a_long_text_is_measured_a_few_times_for_each_piece() -> None:
    chooser = random.Random(1)
    text = "\n\n".join(ANSWER for _ in range(180)) + "".join(chooser.choices("ab \n", k=1000))
    assert len(text) > 100_000
    measured = 0

    def size(source: str) -> int:
        nonlocal measured
        measured += len(source)
        return len(source)

    count, start = 0, 0
    while start < len(text):
        start = cut(text, start, 2000, size, final=True).end
        count += 1
    assert measured < 12 * len(text), count


@pytest.mark.parametrize(
    "text",
    ["*a " * 7000, "[a" * 10000, "`" * 20000, "](a" * 7000, " " * 20000 + "a", "\n" * 20000 + "a", "_a* " * 5000],
    ids=repr,
)
def test_hostile_text_is_cut_like_any_other(text: str) -> None:
    assert pieces(text, 2000)[-1].end == len(text)
    assert heal(text[:5000]) is not None


# Healing


@pytest.mark.parametrize(
    ("half", "healed"),
    [
        ("a **bo", "a **bo**"),
        ("a **bold*", "a **bold**"),
        ("a **", "a "),
        ("a **bo ", "a **bo**"),
        ("a ***both", "a ***both***"),
        ("a **b *c", "a **b *c***"),
        ("a `co", "a `co`"),
        ("a `", "a "),
        ("a ``co`", "a ``co``"),
        ("a ~~st~", "a ~~st~~"),
        ("a [li", "a li"),
        ("a [link]", "a link"),
        ("a [link](htt", "a link"),
        ("a [link](http://x 'ti", "a link"),
        ("a ![image](htt", "a "),
        ("a <http://x", "a http://x"),
        ("a\n\n```py\nx = 1", "a\n\n```py\nx = 1\n```"),
        ("a\n\n```py\nx = 1\n``", "a\n\n```py\nx = 1\n```"),
        ("a\n\n```py", "a\n\n"),
        ("a\n\n``", "a\n\n"),
        ("a\n\n| x | y", "a\n\n"),
        ("a\n\n| x | y |\n|--", "a\n\n"),
        ("a\n\n| x |\n|---|\n| **b", "a\n\n| x |\n|---|\n| **b**"),
        ("Items:\n-", "Items:\n"),
        ("- one\n- **tw", "- one\n- **tw**"),
        ("- one\n  - ", "- one\n"),
        ("a\n\n#", "a\n\n"),
        ("2*3 = 6", "2*3 = 6"),
        ("snake_case", "snake_case"),
        ("done.", "done."),
        ("a **b** c", "a **b** c"),
        ("**never closed\n\nnext", "**never closed\n\nnext"),
    ],
)
def test_half_a_mark_is_closed_or_held_back(half: str, healed: str) -> None:
    assert heal(half) == healed


@given(documents, st.data())
@settings(max_examples=300, deadline=None)
def test_what_is_healed_stays_as_it_is(text: str, data: st.DataObject) -> None:
    healed = heal(text[: data.draw(st.integers(0, len(text)))])
    assert heal(healed) == healed


@given(st.text("ab *_`~[](!<\\|-#>\n1.", max_size=40))
@settings(max_examples=500, deadline=None)
def test_healing_anything_ends(text: str) -> None:
    healed = heal(text)
    assert heal(healed) == healed


def test_a_growing_answer_never_shows_raw_marks() -> None:
    for end in range(len(ANSWER)):
        shown = plain(heal(ANSWER[:end]))
        for node in parse(heal(ANSWER[:end])).walk():
            if node.type == "text":
                assert not {"*", "`", "[", "]", "|", "~"} & set(node.content), shown
        assert "```" not in shown


def test_a_mark_that_never_closes_is_text_in_the_end() -> None:
    assert [plain(source) for source in sources("a **b", 10)] == ["a **b"]
    assert heal("a **b") == "a **b**"


def test_long_paragraph_stands_as_it_is() -> None:
    hostile = "[a](" * 8000
    assert heal(hostile) == hostile
