"""Voice into words, by a server that speaks OpenAI's audio transcriptions: speaches, LocalAI, OpenAI itself."""

import asyncio
import logging
from dataclasses import dataclass, field
from pathlib import PurePosixPath
from typing import IO

import openai
from openai import AsyncOpenAI

from core.files.unreadable import Unreadable
from core.languages import msgid
from core.turns import Attachment

log = logging.getLogger(__name__)

# By its suffix a server knows what it is sent: https://platform.openai.com/docs/api-reference/audio
_SUFFIXES = {".flac", ".m4a", ".mp3", ".mp4", ".mpeg", ".mpga", ".oga", ".ogg", ".wav", ".webm"}


@dataclass(frozen=True, slots=True, kw_only=True)
class TranscriberSettings:
    """`url` is the API's root, as a rule ending in /v1. An answer may take `seconds`."""

    url: str
    model: str = "whisper-1"
    api_key: str = field(default="", repr=False)
    seconds: float = 60.0


class Transcriber:
    """One server."""

    def __init__(self, settings: TranscriberSettings) -> None:
        self._settings = settings

    async def text(self, file: IO[bytes], attachment: Attachment) -> str:
        """What is said in `file`. Raises `Unreadable`."""
        file.seek(0)
        sound = await asyncio.to_thread(file.read)
        suffix = PurePosixPath(attachment.name).suffix.lower()
        name = f"voice{suffix if suffix in _SUFFIXES else '.ogg'}"  # what the sender calls it stays here
        settings = self._settings
        try:
            async with (
                asyncio.timeout(settings.seconds),
                AsyncOpenAI(base_url=settings.url, api_key=settings.api_key or "none", max_retries=1) as client,
            ):
                answer = await client.audio.transcriptions.create(model=settings.model, file=(name, sound))
        except (openai.OpenAIError, TimeoutError) as exc:
            log.warning("a voice message is not transcribed: %s", type(exc).__name__)
            raise Unreadable(msgid("I could not make out its words")) from exc
        if not isinstance(words := getattr(answer, "text", None), str):
            log.warning("the transcription server answers with something else than a transcription")
            raise Unreadable(msgid("I could not make out its words"))
        if not words.strip():
            raise Unreadable(msgid("I heard no words in it"))
        return words.strip()
