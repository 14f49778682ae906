"""Files that are dropped on the page, over HTTP to a real server and to the disk."""

import asyncio
import os
import time
import uuid
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from adapters.web.frames import File
from adapters.web.uploads import NoRoom, Uploads
from core.errors import NotFetched
from core.turns import Attachment
from tests.adapters.web.conftest import Serve
from tests.adapters.web.tab import Tab, open_tab
from tests.core.store.steps import eventually

LIMIT = 3_000_000


async def put(url: str, tab: Tab, data: bytes, *, name: str = "", origin: str | None = None) -> httpx.Response:
    headers = {"Cookie": tab.cookie, "Origin": url if origin is None else origin}
    async with httpx.AsyncClient() as client:
        return await client.put(f"{url}/files/{name or uuid.uuid4().hex}", content=data, headers=headers)


async def test_file_lies_on_disk_until_its_message_is_answered(serving: Serve, tmp_path: Path) -> None:
    async with serving(uploads=tmp_path, max_file=LIMIT) as url, open_tab(url) as tab:
        name = uuid.uuid4().hex
        assert (await put(url, tab, b"x" * 2_000_000, name=name)).status_code == 204
        [file] = held(tmp_path)
        assert (file.name, file.stat().st_size, file.stat().st_mode & 0o077) == (name, 2_000_000, 0)
        taken = await tab.say(
            "what is it?", files=[{"id": name, "name": "../../etc/passwd", "type": "text/plain"}]
        )
        await tab.until(lambda: taken["key"] in tab.final)
        async with asyncio.timeout(20):
            while held(tmp_path):  # noqa: ASYNC110 - the disk tells nobody
                await asyncio.sleep(0.02)


async def test_file_that_is_too_large_is_refused_and_leaves_nothing(serving: Serve, tmp_path: Path) -> None:
    async with serving(uploads=tmp_path, max_file=LIMIT) as url, open_tab(url) as tab:
        assert (await put(url, tab, b"x" * (LIMIT + 1))).status_code == 413
        assert held(tmp_path) == []


async def test_file_of_another_browser_is_not_there(serving: Serve, tmp_path: Path) -> None:
    async with serving(uploads=tmp_path, max_file=LIMIT) as url, open_tab(url) as ann, open_tab(url) as bob:
        name = uuid.uuid4().hex
        await put(url, ann, b"a secret", name=name)
        refused = await bob.say("read it", files=[{"id": name, "name": "x.txt", "type": ""}])
        assert (refused["type"], "any more" in refused["text"]) == ("refused", True)


@pytest.mark.parametrize("origin", ["", "https://evil.example", "null"])
async def test_other_sites_upload_nothing(serving: Serve, tmp_path: Path, origin: str) -> None:
    async with serving(uploads=tmp_path, max_file=LIMIT) as url, open_tab(url) as tab:
        assert (await put(url, tab, b"x", origin=origin)).status_code == 403
        assert held(tmp_path) == []


@pytest.mark.parametrize("name", ["..", "short", "x" * 65, "%2e%2e%2fsecret", "a.b.c.d.e.f"])
async def test_path_is_never_of_the_browsers_making(serving: Serve, tmp_path: Path, name: str) -> None:
    async with serving(uploads=tmp_path, max_file=LIMIT) as url, open_tab(url) as tab:
        assert (await put(url, tab, b"x", name=name)).status_code in {404, 405}
        assert held(tmp_path) == []


async def test_page_takes_no_files_where_none_are_kept(serving: Serve) -> None:
    async with serving() as url, open_tab(url) as tab:
        assert [frame["file_limit"] for frame in tab.frames if frame["type"] == "history"] == [0]
        assert (await put(url, tab, b"x")).status_code == 404
        assert (await tab.say("", files=[{"id": uuid.uuid4().hex, "name": "x", "type": ""}]))["type"] == "refused"


def held(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if path.is_file())


async def once(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        yield chunk


async def test_what_nobody_sends_goes_after_a_day(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 10)
    for name, hours in (("a" * 8, 25), ("b" * 8, 23)):
        await uploads.keep("ann", name, once(b"x"))
        long_ago = time.time() - hours * 3600
        os.utime(tmp_path / "ann" / name, (long_ago, long_ago))
    await uploads.keep("bob", "c" * 8, once(b"x"))
    assert [path.name for path in held(tmp_path)] == ["b" * 8, "c" * 8]


async def test_disk_is_not_filled(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 10)
    for number in range(50):
        await uploads.keep("ann", f"file-{number:04}", once(b"x" * 5, b"y" * 5))
    with pytest.raises(NoRoom):
        await uploads.keep("ann", "one-more", once(b"x"))


async def test_what_nobody_sends_goes_also_when_nothing_more_comes(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 10)
    await uploads.keep("ann", "a" * 8, once(b"x"))
    os.utime(tmp_path / "ann" / ("a" * 8), (0, 0))
    async with asyncio.TaskGroup() as group:
        clearing = group.create_task(uploads.clear())
        await eventually(lambda: are_held(tmp_path, 0))
        clearing.cancel()


async def are_held(folder: Path, count: int) -> bool:
    return len(held(folder)) == count


async def test_what_is_coming_counts_as_if_it_were_as_large_as_it_may_be(tmp_path: Path) -> None:
    uploads, may_end = Uploads(tmp_path, 10), asyncio.Event()

    async def slow() -> AsyncIterator[bytes]:
        await may_end.wait()
        yield b"x"

    async with asyncio.TaskGroup() as group:
        for number in range(50):
            group.create_task(uploads.keep("ann", f"file-{number:04}", slow()))
        await eventually(lambda: are_held(tmp_path, 50))
        with pytest.raises(NoRoom):
            await uploads.keep("ann", "one-more", once(b"x"))
        may_end.set()
    assert len(held(tmp_path)) == 50


async def test_upload_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def broken() -> AsyncIterator[bytes]:
        yield b"x"
        raise EOFError

    with pytest.raises(EOFError):
        await Uploads(tmp_path, 10).keep("ann", "a" * 8, broken())
    assert held(tmp_path) == []


@pytest.mark.parametrize("address", [{}, {"owner": "..", "file": "a" * 8}, {"owner": "ann", "file": "../secret"}])
async def test_forged_address_is_none_of_ours(tmp_path: Path, address: dict[str, str]) -> None:
    uploads = Uploads(tmp_path, 10)
    with pytest.raises(NotFetched):
        async with uploads.read(Attachment(kind="file", address=address)):
            pass
    await uploads.discard([Attachment(kind="file", address=address)])


async def test_kind_and_size_are_looked_at(tmp_path: Path) -> None:
    uploads = Uploads(tmp_path, 10)
    await uploads.keep("ann", "a" * 8, once(b"12345"))
    found = await uploads.attachment("ann", File("a" * 8, "cat.png", "image/png"))
    assert found is not None
    assert (found.kind, found.size) == ("image", 5)
    assert await uploads.attachment("bob", File("a" * 8, "cat.png")) is None
