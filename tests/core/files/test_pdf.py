"""PDFs, well made, empty, locked, broken, and made to harm."""

import io
import tempfile
from collections.abc import Iterator
from typing import IO

import pytest
from pypdf import PdfWriter
from pypdf.generic import DecodedStreamObject, DictionaryObject, NameObject

from core.files import pdf
from core.files.unreadable import Unreadable


def made(*pages: str, password: str = "") -> bytes:
    writer = PdfWriter()
    font = DictionaryObject(
        {
            NameObject("/Type"): NameObject("/Font"),
            NameObject("/Subtype"): NameObject("/Type1"),
            NameObject("/BaseFont"): NameObject("/Helvetica"),
        }
    )
    for words in pages:
        page = writer.add_blank_page(300, 300)
        page[NameObject("/Resources")] = DictionaryObject(
            {NameObject("/Font"): DictionaryObject({NameObject("/F1"): font})}
        )
        stream = DecodedStreamObject()
        stream.set_data(f"BT /F1 12 Tf 20 200 Td ({words}) Tj ET".encode())
        page[NameObject("/Contents")] = writer._add_object(stream)
    if password:
        writer.encrypt(password, algorithm="AES-256")
    data = io.BytesIO()
    writer.write(data)
    return data.getvalue()


@pytest.fixture
def file() -> Iterator[IO[bytes]]:
    with tempfile.TemporaryFile() as opened:
        yield opened


async def read(file: IO[bytes], data: bytes, seconds: float = 30.0) -> str:
    file.write(data)
    file.flush()
    return await pdf.read(file, seconds=seconds)


async def test_pages_are_read_in_their_order(file: IO[bytes]) -> None:
    assert (await read(file, made("Hello Ann", "and Bob"))).split() == ["Hello", "Ann", "and", "Bob"]


@pytest.mark.parametrize(
    ("data", "why"),
    [
        (made(""), "only pictures"),
        (made("Hello", password="secret"), "password"),
        (b"%PDF-1.7\nnothing more", "damaged"),
        (b"", "damaged"),
    ],
    ids=["empty", "locked", "broken", "nothing"],
)
async def test_what_cannot_be_read_says_why(file: IO[bytes], data: bytes, why: str) -> None:
    with pytest.raises(Unreadable, match=why):
        await read(file, data)


async def test_one_that_takes_too_long_is_ended(file: IO[bytes]) -> None:
    with pytest.raises(Unreadable, match="too long"):
        await read(file, made("Hello"), seconds=0.001)


async def test_one_that_unpacks_to_more_than_memory_harms_nobody(file: IO[bytes]) -> None:
    writer = PdfWriter()
    page = writer.add_blank_page(300, 300)
    stream = DecodedStreamObject()
    stream.set_data(b" " * 300_000_000)
    page[NameObject("/Contents")] = writer._add_object(stream.flate_encode())
    data = io.BytesIO()
    writer.write(data)
    with pytest.raises(Unreadable):
        await read(file, data.getvalue())
