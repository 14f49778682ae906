"""The questions that are asked: what real people wrote, from the PyPI package chitchat-dataset (MIT). The choice
is the same on every machine. Knows no engine.
"""

import random
from collections.abc import Mapping, Sequence
from typing import Any

TURNS = 4
MAX_TOKENS = 64
"""The most tokens of an answer."""

_LONGEST = 400  # characters of one question: the data set has a few pasted pages
_SEED = 20240501


def dataset() -> Mapping[str, Any]:
    """The whole data set: 7,168 conversations by their id. Raises `ImportError` where it is not installed."""
    from chitchat_dataset import Dataset  # noqa: PLC0415 tests of the choice need no data set

    data: Mapping[str, Any] = Dataset()
    return data


def dialogues(data: Mapping[str, Any], count: int, *, messages: int) -> list[list[str]]:
    """The first `messages` messages of `count` conversations that have as many, none of them empty or very long.
    Two speakers take turns; what one of them sent in several lines is one message. The ids decide the choice.

    Raises `ValueError` when there are not that many.
    """
    found = []
    for _, conversation in sorted(data.items()):
        texts = [_text(message) for message in conversation["messages"][:messages]]
        if len(texts) == messages and all(0 < len(text) <= _LONGEST for text in texts):
            found.append(texts)
    if len(found) < count:
        raise ValueError(f"there are {len(found)} such conversations, and {count} are needed")
    return random.Random(_SEED).sample(found, count)  # noqa: S311 no secret


def questions(data: Mapping[str, Any], count: int) -> list[list[str]]:
    """`TURNS` messages by the first speaker of each of `count` conversations."""
    return [dialogue[::2] for dialogue in dialogues(data, count, messages=2 * TURNS)]


def _text(message: Sequence[Mapping[str, str]]) -> str:
    return " ".join(line["text"].strip() for line in message).strip()
