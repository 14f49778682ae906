"""What of a growing text is given to a stream, which takes nothing back."""

import pytest

from adapters.markdown import cut
from adapters.slack.markup import LIMIT, render, size
from adapters.slack.streams import Stream, Streams
from tests.adapters.telegram.notebook import Alone

TEXTS = {
    "words": "some **bold words** and `code with blanks` and _more_, then the end",
    "paragraphs": "One.\n\nTwo with *stars* in it.\n\nThree.",
    "fence": "Look:\n\n```python\nprint('one')\n\nprint('two')\n```\n\nThat was it.",
    "fence first": "```python\nprint('one')\nprint('two')\n```\nThat was it.",
    "table": "A table:\n\n| a | b |\n| --- | --- |\n| 1 | 2 |\n| 3 | 4 |\n\nThat was it.",
    "list": "- one\n- two\n  - three and a half\n- four\n\nThat was it.",
    "quote": "> said by\n> somebody\n\nand answered",
}


def drafts(text: str) -> list[str]:
    """The drafts of `text`, letter by letter, as the delivery planner has them."""
    return [
        render(cut(text[:end], 0, LIMIT, size, final=end == len(text)).source)
        for end in range(1, len(text) + 1)
        if text[:end].strip()
    ]


@pytest.mark.parametrize("name", TEXTS)
def test_what_is_streamed_is_how_the_whole_text_begins(name: str) -> None:
    first, *others = drafts(TEXTS[name])
    stream = Stream("k", 0.0, first)
    for draft in others:
        stream.reads += stream.more(draft)
    whole = others[-1]
    assert whole.startswith(stream.reads)
    assert len(stream.reads) > len(whole) // 2, "and most of it is there before the end"


@pytest.mark.parametrize("name", TEXTS)
@pytest.mark.parametrize("at", [5, 10, 20, 30])
def test_stream_may_begin_anywhere(name: str, at: int) -> None:
    every = drafts(TEXTS[name])
    assert every[-1].startswith(Stream("k", 0.0, every[at]).reads)


def test_text_that_becomes_another_one_is_told() -> None:
    stream = Stream("k", 0.0, "one two three")
    with pytest.raises(ValueError, match="begin"):
        stream.more("two three four")


def test_so_many_are_begun_in_a_minute_and_no_more() -> None:
    now = 1000.0
    streams = Streams(Alone(), lambda: now)
    for _ in range(15):
        assert streams.may_begin("C1")
        streams.begun()
    assert not streams.may_begin("C1")
    assert streams.allow("C1")
    now += 61
    assert streams.may_begin("C1")


def test_where_slack_refuses_them_none_is_begun() -> None:
    streams = Streams(Alone(), lambda: 0.0)
    streams.refused("C1", "channel_type_not_supported")
    assert [streams.allow("C1"), streams.may_begin("C1"), streams.may_begin("C2")] == [False, False, True]
