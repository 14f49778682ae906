"""The model's Markdown in the form that Slack takes."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.markdown import plain
from adapters.slack.markup import LIMIT, render, size, unformatted

UNSEEN = "\u200b"


@pytest.mark.parametrize(
    ("source", "expected"),
    [
        ("# Title\n\ntext", "# Title\n\ntext"),
        ("Title\n=====\ntext", "# Title\n\ntext"),
        ("**bold** *em* ~~gone~~ `code`", "**bold** _em_ ~~gone~~ `code`"),
        ("un*believ*able", "un*believ*able"),
        ("- a\n    - b\n- c", "- a\n  - b\n- c"),
        ("- a\n\n- b", "- a\n\n- b"),
        ("- a\n- b\n\n* c", "- a\n- b\n\n* c"),
        ("3. x\n4. y", "3. x\n4. y"),
        ("> quoted\n> > deeper", "> quoted\n>\n> > deeper"),
        ("```python\nprint(1)\n```", "```python\nprint(1)\n```"),
        ("    indented", "```\nindented\n```"),
        ("````\n```\n````", "````\n```\n````"),
        ("| a | b |\n|:--|--:|\n| 1 | **2** |", "| a | b |\n| :--- | ---: |\n| 1 | **2** |"),
        ("| a |\n|---|\n| `x\\|y` |", "| a |\n| --- |\n| `x\\|y` |"),
        ("[text](https://a.example/x)", "[text](https://a.example/x)"),
        ("[text][1]\n\n[1]: https://a.example", "[text](https://a.example)"),
        ("https://a.example/x?a=1&b=2", "<https://a.example/x?a=1&b=2>"),
        ("a.example.com", "[a.example.com](http://a.example.com)"),
        ("![a cat](https://a.example/cat.png)", "[a cat](https://a.example/cat.png)"),
        ("one  \ntwo\nthree", "one  \ntwo\nthree"),
        ("***", "---"),
        ("<b>not bold</b>", "\\<b>not bold\\</b>"),
    ],
)
def test_normal_form(source: str, expected: str) -> None:
    assert render(source) == expected


@pytest.mark.parametrize(
    "source",
    ["2 * 3 * 4", "snake_case and other_name", "[1] and [x] done", "a & b", "5 < 6 > 4", "50% ~ 60", "C:/x #1"],
)
def test_plain_words_are_left_alone(source: str) -> None:
    assert render(source) == source


@pytest.mark.parametrize(
    "source", ["**bo", "a *b", "`co", "[link](htt", "~~x", "__init", "\\*no\\*", "1986\\. Yes", "\\# no"]
)
def test_marks_that_mean_nothing_stay_as_they_are(source: str) -> None:
    assert plain(render(source)) == plain(source)


def test_fence_that_never_closes_is_closed() -> None:
    assert render("```py\nx = 1") == "```py\nx = 1\n```"


@pytest.mark.parametrize(
    "call",
    [
        "<!channel>",
        "<!here>",
        "<!everyone>",
        "<!subteam^S1>",
        "<@U1>",
        "<#C1>",
        "&lt;!channel&gt;",
        "\\<!channel>",
    ],
)
@pytest.mark.parametrize(
    "around", ["{}", "**{}**", "`{}`", "```\n{}\n```", "- {}", "| {} |\n|---|", "[{}](http://a.example)"]
)
def test_nobody_is_called(call: str, around: str) -> None:
    rendered = render(around.format(call))
    assert not any(sign in rendered for sign in ("<!", "<@", "<#"))


@pytest.mark.parametrize("word", ["@channel", "@here", "@everyone", "@Here"])
def test_words_that_call_everybody_are_broken(word: str) -> None:
    assert render(f"hello {word}!") == f"hello @{UNSEEN}{word[1:]}!"
    assert render("mail ann@heretic.example") == "mail ann@heretic.example"
    assert word not in unformatted(f"hello {word}!")


def test_text_without_form_is_escaped() -> None:
    assert unformatted("**1 < 2** & <!here>") == "1 &lt; 2 &amp; &lt;!here&gt;"


def test_size_counts_what_slack_may_count() -> None:
    assert size("hello") == 5
    assert size("👩‍👩‍👧‍👦") == 11
    assert size("x" * LIMIT) == LIMIT


def test_half_a_surrogate_pair_can_be_sent() -> None:
    render("a \ud83d b").encode()


INLINE = st.text(st.sampled_from("ab1 *_`~[]()<>&\\!#-.+|\n"), max_size=30)


@given(INLINE)
def test_rendering_keeps_the_words(source: str) -> None:
    # Slack's parser sees what ours saw.
    assert plain(render(source)).replace(UNSEEN, "").split() == plain(source).split()


@given(st.text(max_size=200))
def test_any_text_is_rendered_and_calls_nobody(source: str) -> None:
    rendered = render(source)
    assert not any(sign in rendered for sign in ("<!", "<@", "<#"))
