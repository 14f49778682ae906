"""A PDF's text, read by a process of its own: a file made to harm takes that down and nothing else."""

import asyncio
import os
import sys
from contextlib import suppress
from typing import IO

from core.files.pdf_pages import ENCRYPTED, MOST_BYTES
from core.files.unreadable import Unreadable
from core.languages import msgid

_SECONDS = 30.0


async def read(file: IO[bytes], *, seconds: float = _SECONDS) -> str:
    """The text of the first pages of `file`, which must be a file on disk. Raises `Unreadable`."""
    file.seek(0)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "core.files.pdf_pages",
        stdin=file,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.DEVNULL,
        env={"PYTHONPATH": os.pathsep.join(sys.path)},  # and none of our secrets
    )
    try:
        async with asyncio.timeout(seconds):
            assert process.stdout is not None
            data = await process.stdout.read()  # the process bounds it
            ended = await process.wait()
    except TimeoutError:
        raise Unreadable(msgid("it takes too long to read")) from None
    finally:
        if process.returncode is None:
            with suppress(ProcessLookupError):
                process.kill()
            await process.wait()
    if ended == ENCRYPTED:
        raise Unreadable(msgid("it is protected by a password"))
    if ended != 0:
        raise Unreadable(msgid("it is damaged"))
    if not (text := data[:MOST_BYTES].decode("utf-8", "replace").strip()):
        raise Unreadable(msgid("there is no text in it, only pictures"))
    return text
