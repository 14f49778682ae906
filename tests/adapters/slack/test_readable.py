"""What a person has written, as a person reads it."""

import pytest

from adapters.slack.readable import mentioned, readable, without

NAMES = {"U1": "Ann", "W2": "A&B"}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("hi <@U1> and <@U9>", "hi @Ann and @U9"),
        ("<@U9|carl>", "@carl"),
        ("<@W2>", "@A&B"),
        ("see <#C1|plans> and <#C2>", "see #plans and #C2"),
        ("<!here> <!channel> <!everyone|everyone>", "@here @channel @everyone"),
        ("<!subteam^S1|@team> <!subteam^S2>", "@team @subteam"),
        ("<!date^1392734382^{date}|18 February>", "18 February"),
        ("<https://a.example/x?a=1&amp;b=2>", "https://a.example/x?a=1&b=2"),
        ("<http://a.example|a.example>", "http://a.example"),
        ("<https://a.example|the page>", "the page (https://a.example)"),
        ("<mailto:ann@a.example|ann@a.example>", "ann@a.example"),
        ("1 &lt; 2 &amp;&amp; 3 &gt; 2", "1 < 2 && 3 > 2"),
        ("&amp;lt; stays", "&lt; stays"),
        ("שלום 👩‍👩‍👧‍👦", "שלום 👩‍👩‍👧‍👦"),
        ("", ""),
    ],
)
def test_readable(text: str, expected: str) -> None:
    assert readable(text, NAMES) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<@U1> hello", "hello"),
        ("<@U1>, hello", "hello"),
        ("<@U1|bot>: hello", "hello"),
        ("hello <@U1>", "hello"),
        ("hey <@U1> what?", "hey what?"),
        ("is it so, <@U1>?", "is it so,?"),
        ("<@U1>", ""),
        ("<@U2> hello", "<@U2> hello"),
        ("<@U1>   indented\n  code", "indented\n  code"),
    ],
)
def test_own_mention_is_cut_out(text: str, expected: str) -> None:
    assert without(text, "U1") == expected


def test_mentioned_are_users_only() -> None:
    assert mentioned("<@U1> <@W2|bob> <#C1> <!here> @U3") == {"U1", "W2"}
