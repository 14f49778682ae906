"""What is said where an answer is too long for messages. Knows no platform."""

from adapters.delivery.script import InFile
from core.languages import msgid, translated

_SENTENCE = msgid("_My answer is long: all of it is in the file._")


def in_file_after(messages: int, locale: str) -> InFile | None:
    """What the planner needs so that an answer of more `messages` ends with a file; 0: none does."""
    return InFile(messages, translated(_SENTENCE, locale)) if messages else None
