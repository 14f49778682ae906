"""Bytes as text."""

import io

import pytest

from core.files import text
from core.files.unreadable import Unreadable

RUSSIAN = "Съешь ещё этих мягких французских булок, да выпей чаю. " * 5


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "cp1251", "koi8-r"])
def test_text_is_read_in_the_encoding_that_it_has(encoding: str) -> None:
    assert text.read(io.BytesIO(RUSSIAN.encode(encoding))) == RUSSIAN


def test_character_that_is_cut_in_two_by_the_limit_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(text, "_MOST", 3)
    assert text.read(io.BytesIO("éé".encode())) == "é"


@pytest.mark.parametrize("data", [b"PK\x03\x04\0\0", b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", b"\0"])
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(Unreadable, match="not text"):
        text.read(io.BytesIO(data))


def test_empty_file_is_an_empty_text() -> None:
    assert text.read(io.BytesIO(b"")) == ""
