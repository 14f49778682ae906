"""Files that people send, over each platform's own wire: read within limits, and honest where they are not."""

import io
import zipfile
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import IO

import pytest

from core import notices
from core.dialogue import DialogueSettings
from core.engine.engine import Picture
from core.files.reader import FileSettings
from core.store.store import Store
from core.turns import Attachment
from tests.contracts.attentive import Attentive
from tests.contracts.discord_rig import DiscordRig
from tests.contracts.rig import ActingRig, Rig
from tests.contracts.slack_rig import SlackRig
from tests.contracts.telegram_rig import TelegramRig
from tests.contracts.web_rig import WebRig
from tests.running import running


@pytest.fixture(params=[DiscordRig, SlackRig, TelegramRig, WebRig], ids=lambda rig: rig.__name__)
async def rig(request: pytest.FixtureRequest, store: Store) -> AsyncIterator[ActingRig]:
    async with request.param(store) as rig:
        yield rig


@pytest.fixture
def files(tmp_path: Path) -> FileSettings:
    return FileSettings(folder=tmp_path / "files", max_mb=0.01)


def said(text: str) -> str:
    return f"You said: {text}"


async def test_file_is_read_into_the_turn_and_known_later(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    engine = Attentive()
    async with running(rig.adapter, store=store, engine=engine, files=files):
        await rig.attached("sum it up", "../../x.csv", "name,größe\nann,3\n".encode("latin-1"), "text/csv")
        await rig.until_replies(lambda texts: texts == [said("sum it up")])
        first = "File x.csv:\n```\nname,größe\nann,3\n\n```\n\nsum it up"
        assert engine.asked == [first]
        await rig.direct("and now?")
        await rig.until_replies(lambda texts: texts[-1:] == [said("and now?")])
    assert engine.asked == [first, "and now?"]
    assert list(files.folder.iterdir()) == []


async def test_file_without_words_is_a_turn(rig: ActingRig, store: Store, files: FileSettings) -> None:
    engine = Attentive()
    async with running(rig.adapter, store=store, engine=engine, files=files):
        await rig.attached("", "notes.md", b"# milk", "text/markdown")
        await rig.until_replies(lambda texts: len(texts) == 1)
    assert engine.asked == ["File notes.md:\n```\n# milk\n```\n\n"]


async def test_answer_to_a_file_without_words_is_made_anew(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    engine, buttons = Attentive(), DialogueSettings(window=1_000_000, controls=True)
    async with running(rig.adapter, store=store, engine=engine, files=files, dialogue=buttons):
        await rig.attached("", "notes.md", b"# milk", "text/markdown")
        await rig.until_replies(lambda texts: len(texts) == 1)
        asked, engine.asked = engine.asked, []
        await rig.press("🔄 Regenerate")
        await rig.until_replies(lambda _texts: "2/2" in rig.controls())
    assert engine.asked == asked


async def test_file_that_is_too_large_is_told_so_and_the_words_are_answered(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    engine = Attentive()
    async with running(rig.adapter, store=store, engine=engine, files=files):
        await rig.attached("what is it?", "big.txt", b"x" * 20_000, "text/plain")
        [reply] = await rig.until_replies(lambda texts: "larger" in "".join(texts))
    assert reply.startswith(said("what is it?"))
    assert "larger than 0.01 MB" in reply
    assert engine.asked == ["what is it?"]


async def test_archive_is_not_opened(rig: ActingRig, store: Store, files: FileSettings) -> None:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("bomb.txt", "\0" * 1_000_000)
    engine = Attentive()
    async with running(rig.adapter, store=store, engine=engine, files=files):
        await rig.attached("", "notes.txt", packed.getvalue(), "text/plain")
        await rig.until_replies(lambda texts: "it is not text" in "".join(texts))
    assert engine.asked == []


async def test_long_file_is_cut_and_says_so(rig: ActingRig, store: Store, files: FileSettings) -> None:
    engine = Attentive()
    async with running(
        rig.adapter, store=store, engine=engine, files=files, dialogue=DialogueSettings(persona="", window=200)
    ):
        await rig.attached("read it", "long.txt", b"word " * 1_000, "text/plain")
        [reply] = await rig.until_replies(lambda texts: "only its beginning" in "".join(texts))
    assert reply.startswith(said("read it"))
    [asked] = engine.asked
    assert 50 < asked.count("word") <= 100
    assert "The rest of the file is left out" in asked


async def test_voice_is_read_where_something_can_hear(rig: ActingRig, store: Store, files: FileSettings) -> None:
    async def hear(file: IO[bytes], attachment: Attachment) -> str:
        file.seek(0)
        return file.read().decode()

    engine = Attentive()
    hearing = replace(files, transcribe=hear)
    async with running(rig.adapter, store=store, engine=engine, files=hearing):
        await rig.attached("", "note.ogg", b"hello there", "audio/ogg")
        await rig.until_replies(lambda texts: len(texts) == 1)
    assert engine.asked == ["File note.ogg:\n```\nhello there\n```\n\n"]


async def test_picture_with_words_is_not_passed_over_in_silence(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    async with running(rig.adapter, store=store, engine=Attentive(), files=files):
        await rig.attached("what is it?", "cat.png", b"\x89PNG", "image/png")
        [reply] = await rig.until_replies(lambda texts: "pictures" in "".join(texts))
    assert reply.startswith(said("what is it?"))


PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256))


async def test_picture_is_seen_by_a_model_that_can_and_told_of_later(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    engine = Attentive(sees=True)
    async with running(rig.adapter, store=store, engine=engine, files=files):
        await rig.attached("what is it?", "cat.png", PNG, "image/png")
        await rig.until_replies(lambda texts: texts == [said("what is it?")])
        assert engine.asked == ["Picture cat.png\n\nwhat is it?"]
        assert engine.pictures == [Picture(PNG, "image/png")]
        await rig.direct("and now?")
        await rig.until_replies(lambda texts: texts[-1:] == [said("and now?")])
    assert engine.asked == ["Picture cat.png\n\nwhat is it?", "and now?"]
    assert engine.pictures == []
    assert list(files.folder.iterdir()) == []


async def test_picture_is_seen_again_when_its_answer_is_made_anew(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    engine = Attentive(sees=True)
    buttons = DialogueSettings(window=1_000_000, controls=True)
    async with running(rig.adapter, store=store, engine=engine, files=files, dialogue=buttons):
        await rig.attached("", "cat.png", PNG, "image/png")
        await rig.until_replies(lambda texts: len(texts) == 1 and "👍" in rig.controls())
        engine.pictures = []
        await rig.press("🔄 Regenerate")
        await rig.until_replies(lambda _texts: "2/2" in rig.controls())
    assert engine.pictures == [Picture(PNG, "image/png")]


async def test_what_only_says_that_it_is_a_picture_is_not_handed_on(
    rig: ActingRig, store: Store, files: FileSettings
) -> None:
    engine = Attentive(sees=True)
    async with running(rig.adapter, store=store, engine=engine, files=files):
        await rig.attached("what is it?", "cat.png", b"<svg onload='alert(1)'/>", "image/png")
        [reply] = await rig.until_replies(lambda texts: "no picture" in "".join(texts))
    assert reply.startswith(said("what is it?"))
    assert (engine.asked, engine.pictures) == (["what is it?"], [])


@pytest.mark.parametrize("rig", [DiscordRig, SlackRig, TelegramRig], indirect=True)
async def test_what_is_not_read_is_said_in_the_language_of_the_place(
    rig: Rig, store: Store, files: FileSettings
) -> None:
    async with running(rig.adapter, store=store, engine=Attentive(), files=files):
        await rig.command("language", "de")
        await rig.until_said(notices.SET)
        await rig.attached("look", "a.bin", bytes(range(256)) * 8, "application/octet-stream")
        await rig.until_said("es ist kein Text")
