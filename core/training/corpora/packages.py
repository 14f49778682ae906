"""Corpora that come as Python packages. The packages themselves are not imported: their files are read.

- `chitchat` (MIT): people who did not know each other talk in English, about anything.
- `chatterbot` (BSD): short questions and answers in 28 languages; `chatterbot/chinese` is one of them.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import msgspec

from core.errors import CannotTrain
from core.training import extra
from core.training.corpora import files
from core.training.corpora.dialogue import Bad, BadRecord, Dialogue, Record

NAMES = ("chitchat", "chatterbot", "chatterbot/LANGUAGE")


def read(name: str) -> Iterator[Record] | None:
    """`None`: no package has a corpus of this name. Raises `CannotTrain`."""
    name, _, part = name.partition("/")
    match name:
        case "chitchat" if not part:
            return _chitchat(extra.folder("chitchat_dataset") / "dataset.json")
        case "chatterbot":
            return files.read(_language(extra.folder("chatterbot_corpus") / "data", part))
        case _:
            return None


def _language(folder: Path, language: str) -> Path:
    languages = sorted(path.name for path in folder.iterdir() if path.is_dir())
    if language and language not in languages:
        raise CannotTrain(f"chatterbot does not speak {language!r}; it has {', '.join(languages)}")
    return folder / language


def _chitchat(path: Path) -> Iterator[Record]:
    for number, conversation in msgspec.json.decode(path.read_bytes()).items():
        try:
            yield Dialogue.of(_in_chat(conversation["messages"]))
        except BadRecord as error:
            yield Bad(f"{path.parent.name}/{path.name}, conversation {number}", str(error))


def _in_chat(turns: list[list[dict[str, Any]]]) -> Iterator[tuple[str, str]]:
    """Who speaks first is the user, and whoever else is there the assistant."""
    said = [message for turn in turns for message in turn]
    for message in said:
        yield ("user" if message["sender"] == said[0]["sender"] else "assistant"), message["text"]
