"""The model's Markdown in Discord's dialect."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.discord.markup import render, size


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("**bold** and *italic* and ~~gone~~", "**bold** and *italic* and ~~gone~~"),
        ("__bold__ and _italic_", "**bold** and *italic*"),
        ("***both***", "***both***"),
        ("**bold *in* bold**", "**bold *in* bold**"),
        ("# One\n## Two\n### Three", "# One\n## Two\n### Three"),
        ("#### Four\n\ntext", "**Four**\ntext"),
        ("one\n\ntwo", "one\n\ntwo"),
        ("one  \ntwo", "one\ntwo"),
        ("---", "─" * 12),
        ("> quoted\n> twice\n\nnot", "> quoted\n> twice\n\nnot"),
        ("`code`", "`code`"),
        ("`` a`b ``", "``a`b``"),
    ],
)
def test_what_discord_knows_is_written_so(source: str, shown: str) -> None:
    assert render(source) == shown


def test_lists_nest_and_keep_their_numbers() -> None:
    assert render("3. three\n4. four\n   - inner\n     1. deep\n") == "3. three\n4. four\n   - inner\n     1. deep"


def test_loose_lists_stay_loose() -> None:
    assert render("- a\n\n- b\n\n  more") == "- a\n\n- b\n\n  more"


def test_code_keeps_every_sign_and_its_language() -> None:
    source = "```py\nx = '**no**'  # @everyone\n\n  y\n```"
    assert render(source) == source


def test_code_in_a_list_stands_at_the_margin() -> None:
    assert render("- see\n  ```\n  x\n  ```\n- next") == "- see\n```\nx\n```\n- next"


def test_fence_within_code_does_not_end_it() -> None:
    assert render("````\n```\nx\n```\n````").count("```") == 2


def test_code_span_with_many_backticks_begins_no_block() -> None:
    assert "```" not in render("```` a ``` b `` c ` d ````")


def test_language_that_discord_would_show_as_text_is_left_out() -> None:
    assert render("```{.python}\nx\n```") == "```\nx\n```"


def test_table_is_aligned_in_a_block() -> None:
    assert render("| a | b |\n|---|--:|\n| x | 1 |\n| 日本 | 22 |") == (
        "```\na    │  b\n─────┼───\nx    │  1\n日本 │ 22\n```"
    )


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("[a link](https://a.test/x_(y))", "[a link](https://a.test/x_%28y%29)"),
        ("[**bold** [link]](https://a.test)", "[**bold** \\[link\\]](https://a.test)"),
        ("https://a.test/b_c_d", "<https://a.test/b_c_d>"),
        ("[https://a.test](https://a.test)", "<https://a.test>"),
        ("![a cat](https://a.test/cat.png)", "[a cat](https://a.test/cat.png)"),
        ("![](https://a.test/cat.png)", "<https://a.test/cat.png>"),
        ("[here](/etc/passwd)", "here (/etc/passwd)"),
    ],
)
def test_links_lead_where_they_say(source: str, shown: str) -> None:
    assert render(source) == shown


@pytest.mark.parametrize(
    ("source", "shown"),
    [
        ("||no spoiler||", "\\|\\|no spoiler\\|\\|"),
        ("\\_\\_no underline\\_\\_", "\\_\\_no underline\\_\\_"),
        ("snake_case_stays", "snake_case_stays"),
        ("2 \\* 3 \\* 4", "2 \\* 3 \\* 4"),
        ("\\# no heading", "\\# no heading"),
        ("text\n-# not small", "text\n\\-# not small"),
        ("\\- no list", "\\- no list"),
        ("1\\. no list", "1\\. no list"),
        ("a\n2026\\. no list", "a\n2026\\. no list"),
        ("5 > 3 < 4 & <b>", "5 > 3 < 4 & <b>"),
        ("\\[a\\](https://a.test)", "[a]\\(<https://a.test>)"),
        ("a~b ~~ c", "a~b \\~\\~ c"),
        ("back\\\\slash", "back\\\\slash"),
        ("never **closed", "never \\*\\*closed"),
    ],
)
def test_text_stays_text(source: str, shown: str) -> None:
    assert render(source) == shown


@pytest.mark.parametrize("call", ["<@1>", "<@!1>", "<@&1>", "<#1>", "<:a:1>", "<a:b:1>", "<t:1:R>", "</help:1>"])
def test_what_discord_would_make_of_numbers_is_shown_as_it_is(call: str) -> None:
    assert render(f"see {call}") == f"see \\{call}"


@pytest.mark.parametrize("call", ["@everyone", "@here", "@Everyone"])
def test_nobody_is_called(call: str) -> None:
    shown = render(f"hello {call}, **{call}** [{call}](https://a.test)")
    assert call not in shown
    assert shown.replace("\u2060", "").count(call) == 3


def test_neighbouring_styles_are_kept_apart() -> None:
    assert "***" not in render("**a***b*").replace("\u200b", " ")


def test_size_counts_code_points() -> None:
    assert size("🦞" * 3) == 3
    assert size("👩‍👩‍👧‍👦") == 7
    assert size("||") == 4


@given(st.text())
def test_any_text_can_be_shown(source: str) -> None:
    shown = render(source)
    assert shown
    assert shown == shown.strip()
    shown.encode()


@given(st.text(alphabet="ab *_~|`>#-1.[]()\n@<:\\", max_size=60))
def test_no_mark_opens_a_spoiler(source: str) -> None:
    outside = render(source).split("`")[::2]
    assert not any("||" in text.replace("\\|", "") for text in outside)


def test_half_a_character_is_not_sent() -> None:
    render("a\ud83d").encode()
