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
from typing import IO, TypeVar

from core.engine.engine import Picture
from core.errors import NotFetched
from core.files import pdf, picture, text
from core.files.forms import Form, form, label
from core.files.unreadable import Unreadable
from core.languages import msgid, translated
from core.turns import Attachment, Document

log = logging.getLogger(__name__)

T = TypeVar("T")

Fetch = Callable[[Attachment], AbstractAsyncContextManager[AsyncIterator[bytes]]]
Count = Callable[[str], int]
Transcribe = Callable[[IO[bytes], Attachment], Awaitable[str]]
"""What is said in a file. Raises `Unreadable`."""

_MOST_FILES = 10  # of one message
_MOST_PICTURES = 4
_FEWEST_TOKENS = 16  # with less room than that a file is not begun
_CHARACTERS_PER_TOKEN = 16  # at most; what is longer is cut before it is counted
_FETCHED_WITHIN = 60.0
_MEGABYTE = 1_000_000

_NOT_READ: Mapping[Form, str] = {
    "image": msgid("I cannot look at pictures"),
    "sound": msgid("I cannot listen to sounds"),
    "video": msgid("I cannot watch videos"),
}


_NO_ROOM = msgid("there is no room left for it")
_ENOUGH_PICTURES = msgid("I look at {count} pictures at once")
_ENOUGH_FILES = msgid("I read only the first {count} files")
_BEGINNING = msgid("I read only its beginning")


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
    """What was read, and what was not or not wholly, with why: a line for each. `pictures` are those that were
    fetched of the attachments `seen`."""

    documents: tuple[Document, ...] = ()
    left_out: tuple[str, ...] = ()
    seen: tuple[Attachment, ...] = ()
    pictures: tuple[Picture, ...] = ()

    def left_out_all(self, locale: str) -> "Read":
        """The same, where there is no room for any of it beside the message."""
        names = (*(each.name for each in self.documents), *(label(each.name) for each in self.seen))
        why = translated(_NO_ROOM, locale)
        return Read((), (*self.left_out, *(f"`{name}`: {why}" for name in names)))


class Reader:
    """Reads by the `fetch` of each adapter, which may come and go."""

    def __init__(self, settings: FileSettings, fetch: Mapping[str, Fetch]) -> None:
        self._settings = settings
        self._fetch = fetch

    def reads_any(self, attachments: Sequence[Attachment], *, sees: bool) -> bool:
        """Whether one of them is of a form that may be read, or seen by a model that `sees`."""
        return any(self._why_not(form(each), sees=sees) is None for each in attachments)

    async def read(
        self,
        adapter: str,
        attachments: Sequence[Attachment],
        *,
        most: int,
        count: Count,
        sees: bool,
        within: float,
        locale: str = "",
    ) -> Read:
        """What is in `attachments` of `adapter`, in at most `most` tokens by `count`, and pictures for a model
        that `sees`; what was not read, also because `within` seconds were over, is said to whoever has `locale`.
        Never raises for what is in a file."""
        ends = asyncio.get_running_loop().time() + within
        documents: list[Document] = []
        seen: list[tuple[Attachment, Picture]] = []
        left_out: list[str] = []
        room = min(most, self._settings.max_tokens)
        for attachment in attachments[:_MOST_FILES]:
            name, is_picture = label(attachment.name), sees and form(attachment) == "image"
            if is_picture and len(seen) == _MOST_PICTURES:
                why = translated(_ENOUGH_PICTURES, locale).format(count=_MOST_PICTURES)
                left_out.append(f"`{name}`: {why}")
                continue
            if not is_picture and room < _FEWEST_TOKENS:
                left_out.append(f"`{name}`: {translated(_NO_ROOM, locale)}")
                continue
            try:
                self._check(form(attachment), sees=sees)
                if is_picture:
                    seen.append((attachment, await self._in_file(adapter, attachment, self._picture, ends)))
                    continue
                whole = await self._in_file(adapter, attachment, self._text, ends)
            except Unreadable as exc:
                left_out.append(f"`{name}`: {exc.said(locale)}")
                continue
            beginning = _fitting(whole, room, count)
            room -= count(beginning)
            if len(beginning) < len(whole):
                left_out.append(f"`{name}`: {translated(_BEGINNING, locale)}")
                beginning += "\n… (The rest of the file is left out.)"
            documents.append(Document(name, beginning, attachment.speaker))
        if len(attachments) > _MOST_FILES:
            left_out.append(translated(_ENOUGH_FILES, locale).format(count=_MOST_FILES))
        attached, pictures = zip(*seen, strict=True) if seen else ((), ())
        return Read(tuple(documents), tuple(left_out), attached, pictures)

    async def _in_file(
        self,
        adapter: str,
        attachment: Attachment,
        look: Callable[[IO[bytes], Attachment], Awaitable[T]],
        ends: float,
    ) -> T:
        """What `look` finds in the attachment's file until the event loop's time `ends`. Raises `Unreadable`."""
        if attachment.size > self._settings.max_mb * _MEGABYTE:
            raise self._too_large()
        if (fetch := self._fetch.get(adapter)) is None:
            raise Unreadable(msgid("it cannot be fetched"))
        try:
            with self._nameless() as file:
                async with asyncio.timeout_at(ends):
                    async with asyncio.timeout(_FETCHED_WITHIN):
                        await self._store(fetch, attachment, file)
                    return await look(file, attachment)
        except NotFetched as exc:
            log.warning("a file is not read: %s", exc)
            raise Unreadable(msgid("it could not be fetched")) from exc
        except TimeoutError:
            raise Unreadable(msgid("it took too long to fetch")) from None
        except OSError as exc:
            log.warning("a file is not read: %s", exc.strerror or type(exc).__name__)
            raise Unreadable(msgid("it could not be kept")) from exc

    async def _text(self, file: IO[bytes], attachment: Attachment) -> str:
        if form(attachment) == "pdf":
            return await pdf.read(file)
        if form(attachment) == "sound" and self._settings.transcribe is not None:
            return await self._settings.transcribe(file, attachment)
        return await asyncio.to_thread(text.read, file)

    async def _picture(self, file: IO[bytes], attachment: Attachment) -> Picture:  # noqa: ARG002
        return await asyncio.to_thread(picture.read, file)

    def _check(self, found: Form, *, sees: bool) -> None:
        """Raises `Unreadable` for such a thing as is never read."""
        if (why := self._why_not(found, sees=sees)) is not None:
            raise Unreadable(why)

    def _why_not(self, found: Form, *, sees: bool) -> str | None:
        """Why such a thing is never read; `None` if it may be."""
        may = (found == "sound" and self._settings.transcribe is not None) or (found == "image" and sees)
        return None if may else _NOT_READ.get(found)

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
        return Unreadable(msgid("it is larger than {limit:g} MB"), limit=self._settings.max_mb)


def _fitting(whole: str, room: int, count: Count) -> str:
    """The beginning of `whole` that takes at most `room` tokens."""
    part = whole[: room * _CHARACTERS_PER_TOKEN]
    while part and (tokens := count(part)) > room:
        part = part[: min(len(part) - 1, int(len(part) * room / tokens))]
    return part
