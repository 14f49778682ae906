"""Which pictures a model is handed: those whose bytes say that they are one. Nothing is decoded here."""

import re
from typing import IO

from core.engine.engine import Picture
from core.files.unreadable import Unreadable
from core.languages import msgid

_BEGIN = (
    (re.compile(rb"\x89PNG\r\n\x1a\n"), "image/png"),
    (re.compile(rb"\xff\xd8\xff"), "image/jpeg"),
    (re.compile(rb"GIF8[79]a"), "image/gif"),
    (re.compile(rb"RIFF....WEBP", re.DOTALL), "image/webp"),
)


def read(file: IO[bytes]) -> Picture:
    """The picture in `file`, of a kind that every model server takes. Raises `Unreadable`."""
    file.seek(0)
    data = file.read()
    for begin, kind in _BEGIN:
        if begin.match(data):
            return Picture(data, kind)
    raise Unreadable(msgid("it is no picture that I can look at"))
