"""What an attachment is to be read as, by what is said of it. Knows no file: the bytes decide at last."""

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Literal

from core.turns import Attachment

Form = Literal["text", "pdf", "image", "sound", "video"]

_BY_KIND: Mapping[str, Form] = {"voice": "sound", "audio": "sound", "image": "image", "video": "video"}
_LONGEST_LABEL = 80  # characters


def form(attachment: Attachment) -> Form:
    """Whatever is not known to be something else may be text."""
    for kind in (attachment.kind, attachment.type.partition("/")[0]):
        if (found := _BY_KIND.get(kind)) is not None:
            return found
    is_pdf = attachment.type == "application/pdf" or attachment.name.lower().endswith(".pdf")
    return "pdf" if is_pdf else "text"


def label(name: str) -> str:
    """A file's name as something to read: one line, no path, no mark of Markdown's that would end a code span."""
    shown = "".join(char for char in name.replace("\\", "/") if char.isprintable() and char != "`")
    return PurePosixPath(shown).name[:_LONGEST_LABEL] or "file"
