"""What is said: the messages of one speaker of real conversations, from the package chitchat-dataset (MIT). The
choice is the same on every machine."""

import json
import random
from collections.abc import Sequence
from typing import Any

from core.training.extra import folder

_LONGEST = 400  # characters of a message: the data set has a few pasted pages
_SEED = 20240501


def conversations(count: int, turns: int) -> list[list[str]]:
    """`turns` messages by the first speaker of each of `count` conversations; the same ones again where there are
    not so many. Raises `CannotTrain` where the package is missing."""
    data = json.loads((folder("chitchat_dataset") / "dataset.json").read_bytes())
    found = []
    for _, conversation in sorted(data.items()):
        texts = [_text(message) for message in conversation["messages"][: 2 * turns : 2]]
        if len(texts) == turns and all(0 < len(text) <= _LONGEST for text in texts):
            found.append(texts)
    random.Random(_SEED).shuffle(found)  # noqa: S311 - no secret
    return [found[number % len(found)] for number in range(count)] if found else []


def _text(message: Sequence[Any]) -> str:
    return " ".join(line["text"].strip() for line in message).strip()
