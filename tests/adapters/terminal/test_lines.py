"""Lines from pipes, files and nothing."""

import asyncio
import os
from pathlib import Path

import pytest

from adapters.terminal.lines import MAX_LINE, LineTooLong, lines


async def read(fd: int) -> list[str]:
    return [line async for line in lines(fd)]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", []),
        (b"one\ntwo\n", ["one", "two"]),
        (b"one\r\ntwo", ["one", "two"]),
        (b"\n\n", ["", ""]),
        ("שלום\n👩‍👩‍👧\n".encode(), ["שלום", "👩‍👩‍👧"]),
        (b"\xef\xbb\xbfbom\n", ["bom"]),
        (b"bad \xff byte\n", ["bad \N{REPLACEMENT CHARACTER} byte"]),
    ],
)
async def test_lines_of_a_file_and_of_a_pipe_are_the_same(
    tmp_path: Path, data: bytes, expected: list[str]
) -> None:
    file = tmp_path / "input"
    file.write_bytes(data)
    with file.open("rb") as opened:
        assert await read(opened.fileno()) == expected
    out, into = os.pipe()
    os.write(into, data)
    os.close(into)
    try:
        assert await read(out) == expected
    finally:
        os.close(out)


async def test_line_is_there_before_the_pipe_ends() -> None:
    out, into = os.pipe()
    try:
        source = lines(out)
        for text in ("one", "two"):
            for byte in f"{text}\n".encode():
                os.write(into, bytes([byte]))
                await asyncio.sleep(0)
            assert await anext(source) == text
        os.close(into)
        with pytest.raises(StopAsyncIteration):
            await anext(source)
    finally:
        os.close(out)


async def test_nothing_to_read_is_no_line() -> None:
    nothing = os.open(os.devnull, os.O_RDONLY)
    try:
        assert await read(nothing) == []
    finally:
        os.close(nothing)


async def test_line_without_end_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "input"
    file.write_bytes(b"x" * (MAX_LINE + (1 << 17)))
    with file.open("rb") as opened, pytest.raises(LineTooLong):
        await read(opened.fileno())
