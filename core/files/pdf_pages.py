"""The process that reads a PDF: from its standard input to its standard output, within limits of its own.

Run as `python -m core.files.pdf_pages`. It ends with `ENCRYPTED` where a password is needed.
"""

import logging
import sys
from contextlib import suppress

ENCRYPTED = 3
MOST_BYTES = 1_000_000

_MOST_PAGES = 200
_SECONDS = 30  # of computing
_MEMORY = 1 << 30


def main() -> int:
    _limit()
    from pypdf import PdfReader  # noqa: PLC0415 - whoever starts this process needs none of it

    logging.disable()
    reader = PdfReader(sys.stdin.buffer)
    if reader.is_encrypted and not reader.decrypt(""):
        return ENCRYPTED
    written = 0
    for page in reader.pages[:_MOST_PAGES]:
        text = page.extract_text().encode("utf-8", "replace") + b"\n\n"
        sys.stdout.buffer.write(text[: MOST_BYTES - written])
        written += len(text)
        if written >= MOST_BYTES:
            break
    return 0


def _limit() -> None:
    """By the kernel, where it is one that can."""
    if sys.platform == "win32":
        return
    import resource  # noqa: PLC0415 - Windows has none

    with suppress(ValueError, OSError):  # a lower limit is set already
        resource.setrlimit(resource.RLIMIT_CPU, (_SECONDS, _SECONDS))
        resource.setrlimit(resource.RLIMIT_AS, (_MEMORY, _MEMORY))


if __name__ == "__main__":
    sys.exit(main())
