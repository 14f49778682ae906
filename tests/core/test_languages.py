"""Every sentence that is marked is in every catalogue, with the same placeholders and commands."""

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from string import Formatter

import pytest
from babel.messages.catalog import Catalog
from babel.messages.extract import extract_from_file
from babel.messages.pofile import read_po

from core import notices
from core.commands import commands
from core.errors import Overloaded
from core.languages import LANGUAGES, SOURCE, any_of, language_of, translated
from core.turns import Conversation, Event, Room, Speaker

ROOT = Path(__file__).parent.parent.parent
TRANSLATIONS = [language for language in LANGUAGES if language != SOURCE]


def marked() -> Iterator[str]:
    for package in ("core", "adapters"):
        for file in sorted((ROOT / package).rglob("*.py")):
            for _, sentence, _, _ in extract_from_file("python", file, keywords={"msgid": None}):
                assert isinstance(sentence, str)
                yield sentence


SENTENCES = sorted(set(marked()))


def catalogue(language: str) -> Catalog:
    with (ROOT / "core" / "locales" / f"{language}.po").open("rb") as file:
        return read_po(file, locale=language, abort_invalid=True)


def placeholders(text: str) -> Counter[str]:
    return Counter(f"{name}:{spec}" for _, name, spec, _ in Formatter().parse(text) if name is not None)


def code(text: str) -> Counter[str]:
    return Counter(re.findall(r"`[^`]+`", text))


def a_message(**changes: object) -> Event:
    room = Room("test", "1", {})
    event = {"id": "1", "room": room, "conversation": Conversation.of(room, "c"), "speaker": Speaker("ann")}
    return Event(**{**event, **changes})  # type: ignore[arg-type]


def test_there_is_a_catalogue_for_each_language() -> None:
    assert sorted(file.stem for file in (ROOT / "core" / "locales").glob("*.po")) == sorted(TRANSLATIONS)


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_each_sentence_is_translated_and_nothing_else(language: str) -> None:
    found = {str(message.id): message for message in catalogue(language) if message.id}
    assert sorted(found) == SENTENCES
    assert not [id_ for id_, message in found.items() if not message.string or message.fuzzy]


@pytest.mark.parametrize("language", TRANSLATIONS)
def test_translations_keep_placeholders_commands_and_lines(language: str) -> None:
    for sentence in SENTENCES:
        said = translated(sentence, language)
        assert placeholders(said) == placeholders(sentence), sentence
        assert code(said) == code(sentence), sentence
        assert said.count("\n") == sentence.count("\n"), sentence
        assert said.startswith("_") == sentence.startswith("_"), sentence
        assert said.endswith("_") == sentence.endswith("_"), sentence


@pytest.mark.parametrize("language", LANGUAGES)
def test_commands_are_described_within_the_platforms_limits(language: str) -> None:
    for command in commands():
        for sentence in filter(None, (command.about, command.argument)):
            assert 3 <= len(translated(sentence, language)) <= 100


@pytest.mark.parametrize(
    ("locale", "language"),
    [
        ("", "en"),
        ("en-GB", "en"),
        ("de", "de"),
        ("de-AT", "de"),
        ("es-419", "es"),
        ("zh_CN", "zh"),
        ("ZH-Hans-SG", "zh"),
        ("tlh", "en"),
        ("../../de", "en"),
    ],
)
def test_language_of_a_platforms_locale(locale: str, language: str) -> None:
    assert language_of(locale) == language


def test_a_sentence_is_said_in_the_persons_language() -> None:
    assert translated(Overloaded.reply, "zh-CN") == "现在提问的人太多了，请一分钟后再试。"
    assert translated("of nobody's catalogue", "de") == "of nobody's catalogue"
    assert translated("", "de") == ""


def test_what_cannot_be_read_is_named_in_the_persons_language() -> None:
    said = notices.unreadable(a_message(files=("image", "voice"), locale="de-DE"))
    assert "Bilder oder Sprachnachrichten" in said
    assert any_of(["a", "b", "c"], "en-US") == "a, b, or c"
