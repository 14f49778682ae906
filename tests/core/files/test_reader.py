"""What a sender says of a file is not believed, and nothing of it stays."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from core.files.reader import FileSettings, Read, Reader
from core.turns import Attachment

CHUNK = 1 << 16
GIGABYTE = 10**9


class Upload:
    """A file of `size` bytes as it comes from a platform. `handed_out` counts what was asked for of it."""

    def __init__(self, size: int) -> None:
        self._size = size
        self.handed_out = 0

    @asynccontextmanager
    async def fetch(self, _attachment: Attachment) -> AsyncIterator[AsyncIterator[bytes]]:
        async def chunks() -> AsyncIterator[bytes]:
            for chunk in self._chunks():
                self.handed_out += len(chunk)
                yield chunk

        yield chunks()

    def _chunks(self) -> Iterator[bytes]:
        for start in range(0, self._size, CHUNK):
            yield b"x" * min(CHUNK, self._size - start)


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


async def read(upload: Upload, attachment: Attachment, folder: Path) -> Read:
    reader = Reader(FileSettings(folder=folder, max_mb=0.5), {"test": upload.fetch})
    return await reader.read(
        "test", [attachment], most=100, count=lambda text: len(text) // 4, sees=False, within=60.0
    )


@pytest.mark.parametrize("told", [0, 3, 2 * GIGABYTE])
async def test_of_two_gigabytes_no_more_comes_than_is_allowed(tmp_path: Path, told: int) -> None:
    upload = Upload(2 * GIGABYTE)
    found = await read(upload, Attachment(kind="file", name="huge.txt", size=told), tmp_path / "files")
    assert (found.documents, found.left_out) == ((), ("`huge.txt`: it is larger than 0.5 MB",))
    assert upload.handed_out <= 500_000 + CHUNK
    assert told < 10 or upload.handed_out == 0, "what says that it is too large is not fetched at all"


@pytest.mark.parametrize("name", ["../../x", "/etc/passwd", "C:\\x", "a\0b", "x" * 5000, ""])
async def test_name_is_a_label_and_no_place(tmp_path: Path, name: str) -> None:
    found = await read(Upload(10), Attachment(kind="file", name=name, size=10), tmp_path / "a" / "files")
    assert [document.text for document in found.documents] == ["x" * 10]
    assert files_in(tmp_path) == []
