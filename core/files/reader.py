"""Reads what came with a message, within limits. Knows no platform: an adapter fetches, and says what it may not.

A file is written to disk while it comes, without a name, so that nothing of it is left behind, also after a kill.
It is never executed and never unpacked. What it is called is a label and no more.
"""

import asyncio
import logging
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from core.errors import NotFetched
from core.files import pdf, text
from core.files.forms import Form, form, label
from core.files.unreadable import Unreadable
from core.turns import Attachment, Document

log = logging.getLogger(__name__)

Fetch = Callable[[Attachment], AbstractAsyncContextManager[AsyncIterator[bytes]]]
Count = Callable[[str], int]
Transcribe = Callable[[IO[bytes], Attachment], Awaitable[str]]
"""What is said in a file. Raises `Unreadable`."""

_MOST_FILES = 10  # of one message
_FEWEST_TOKENS = 16  # with less room than that a file is not begun
_CHARACTERS_PER_TOKEN = 16  # at most; what is longer is cut before it is counted
_FETCHED_WITHIN = 60.0
_MEGABYTE = 1_000_000

_NOT_READ: Mapping[Form, str] = {
    "image": "I cannot look at pictures",
    "sound": "I cannot listen to sounds",
    "video": "I cannot watch videos",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class FileSettings:
    """`folder` is where files are while they are read, `max_mb` the most that one may have, in 10⁶ bytes, and
    `max_tokens` how much of those of one message a model is shown. Without `transcribe` nothing is heard."""

    folder: Path
    max_mb: float = 10.0
    max_tokens: int = 4000
    transcribe: Transcribe | None = None


@dataclass(frozen=True, slots=True)
class Read:
    """What was read, and what was not or not wholly, with why: a line for each."""

    documents: tuple[Document, ...] = ()
    left_out: tuple[str, ...] = ()

    def left_out_all(self) -> "Read":
        """The same, where there is no room for any document beside the message."""
        lines = (f"`{document.name}`: there is no room left for it" for document in self.documents)
        return Read((), (*self.left_out, *lines)) if self.documents else self


class Reader:
    """Reads by the `fetch` of each platform's adapter, which may come and go."""

    def __init__(self, settings: FileSettings, fetch: Mapping[str, Fetch]) -> None:
        self._settings = settings
        self._fetch = fetch

    def reads_any(self, attachments: Sequence[Attachment]) -> bool:
        """Whether one of them is of a form that may be read."""
        return any(self._why_not(each) is None for each in attachments)

    async def read(self, platform: str, attachments: Sequence[Attachment], *, most: int, count: Count) -> Read:
        """What is in `attachments`, in at most `most` tokens by `count`. Never raises for what is in a file."""
        documents: list[Document] = []
        left_out: list[str] = []
        room = min(most, self._settings.max_tokens)
        for attachment in attachments[:_MOST_FILES]:
            name = label(attachment.name)
            if room < _FEWEST_TOKENS:
                left_out.append(f"`{name}`: there is no room left for it")
                continue
            try:
                whole = await self._text(platform, attachment)
            except Unreadable as exc:
                left_out.append(f"`{name}`: {exc}")
                continue
            beginning = _fitting(whole, room, count)
            room -= count(beginning)
            if len(beginning) < len(whole):
                left_out.append(f"`{name}`: I read only its beginning")
                beginning += "\n… (The rest of the file is left out.)"
            documents.append(Document(name, beginning))
        if len(attachments) > _MOST_FILES:
            left_out.append(f"I read only the first {_MOST_FILES} files")
        return Read(tuple(documents), tuple(left_out))

    async def _text(self, platform: str, attachment: Attachment) -> str:
        if (why := self._why_not(attachment)) is not None:
            raise Unreadable(why)
        if attachment.size > self._settings.max_mb * _MEGABYTE:
            raise self._too_large()
        if (fetch := self._fetch.get(platform)) is None:
            raise Unreadable("it cannot be fetched")
        try:
            with self._nameless() as file:
                async with asyncio.timeout(_FETCHED_WITHIN):
                    await self._store(fetch, attachment, file)
                if form(attachment) == "pdf":
                    return await pdf.read(file)
                if form(attachment) == "sound" and self._settings.transcribe is not None:
                    return await self._settings.transcribe(file, attachment)
                return await asyncio.to_thread(text.read, file)
        except NotFetched as exc:
            log.warning("a file is not read: %s", exc)
            raise Unreadable("it could not be fetched") from exc
        except TimeoutError:
            raise Unreadable("it took too long to fetch") from None
        except OSError as exc:
            log.warning("a file is not read: %s", exc.strerror or type(exc).__name__)
            raise Unreadable("it could not be kept") from exc

    def _why_not(self, attachment: Attachment) -> str | None:
        """Why such a thing is never read; `None` if it may be."""
        found = form(attachment)
        return None if found == "sound" and self._settings.transcribe is not None else _NOT_READ.get(found)

    def _nameless(self) -> IO[bytes]:
        self._settings.folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        return tempfile.TemporaryFile(dir=self._settings.folder)

    async def _store(self, fetch: Fetch, attachment: Attachment, file: IO[bytes]) -> None:
        size = 0
        async with fetch(attachment) as chunks:
            async for chunk in chunks:
                size += len(chunk)
                if size > self._settings.max_mb * _MEGABYTE:  # whatever size it was said to have
                    raise self._too_large()
                await asyncio.to_thread(file.write, chunk)
        file.flush()

    def _too_large(self) -> Unreadable:
        return Unreadable(f"it is larger than {self._settings.max_mb:g} MB")


def _fitting(whole: str, room: int, count: Count) -> str:
    """The beginning of `whole` that takes at most `room` tokens."""
    part = whole[: room * _CHARACTERS_PER_TOKEN]
    while part and (tokens := count(part)) > room:
        part = part[: min(len(part) - 1, int(len(part) * room / tokens))]
    return part
