"""The terminal in the contract suite: one person, who types into a pipe."""

import asyncio
import io
import os
from types import TracebackType
from typing import Self

from adapters.terminal.adapter import TerminalAdapter, TerminalSettings
from core.store.store import Store
from tests.contracts.rig import Replies

WAIT_SECONDS = 30.0


class _Paper(io.StringIO):
    """An output that tells when something was written."""

    def __init__(self) -> None:
        super().__init__()
        self.written = asyncio.Event()

    def write(self, text: str) -> int:
        self.written.set()
        return super().write(text)


class TerminalRig:
    """Answers come as lines, so what is said here must be one line."""

    def __init__(self, store: Store) -> None:
        reading, self._writing = os.pipe()
        self._stdin = os.fdopen(reading, encoding="utf-8")
        self._paper = _Paper()
        self.adapter = TerminalAdapter(TerminalSettings(), store.fleet, stdin=self._stdin, stdout=self._paper)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, exc: BaseException | None, trace: TracebackType | None, /
    ) -> None:
        os.close(self._writing)
        self._stdin.close()

    async def direct(self, text: str, *, person: str = "ann") -> str:
        os.write(self._writing, f"{text}\n".encode())
        return ""

    async def replies(self, *, person: str | None = None, room: str | None = None) -> list[str]:
        return self._paper.getvalue().splitlines()

    async def until_replies(
        self, predicate: Replies, *, person: str | None = None, room: str | None = None
    ) -> list[str]:
        async with asyncio.timeout(WAIT_SECONDS):
            while not predicate(texts := await self.replies()):
                self._paper.written.clear()
                await self._paper.written.wait()
        return texts
