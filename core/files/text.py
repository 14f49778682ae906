"""Bytes as text: the encodings that people's files have, and a refusal of what is no text."""

import codecs
from typing import IO

from charset_normalizer import from_bytes

from core.files.unreadable import Unreadable
from core.languages import msgid

_MOST = 1_000_000  # bytes of a file's beginning; no budget of tokens asks for more
_SAMPLE = 64_000  # bytes by which an encoding is guessed
_WITH_ZEROS = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read(file: IO[bytes]) -> str:
    """The beginning of the text in `file`. Raises `Unreadable`. Guessing an encoding takes a moment: call it in a
    thread."""
    file.seek(0)
    data = file.read(_MOST)
    encoding = _encoding(data)
    # The last character may be cut in two: an incremental decoder leaves such a one out.
    return codecs.getincrementaldecoder(encoding)("replace").decode(data).removeprefix("\ufeff")


def _encoding(data: bytes) -> str:
    if data.startswith(_WITH_ZEROS):
        return "utf-16"
    if b"\0" in data:
        raise Unreadable(msgid("it is not text"))
    try:
        codecs.getincrementaldecoder("utf-8")().decode(data)
    except UnicodeDecodeError:
        pass
    else:
        return "utf-8"
    if (best := from_bytes(data[:_SAMPLE]).best()) is None:
        raise Unreadable(msgid("it is not text"))
    return best.encoding
