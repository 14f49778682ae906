"""The bot's own sentences in the languages of the people to whom it says them.

With gettext: a sentence stays readable where it is said, and every translator's tool reads the catalogues, which
are `core/locales/LANGUAGE.po`. They are read as they are, so that nothing compiled must be kept in step with them.
A sentence is marked by `msgid` where it is written, and translated by `translated` where it is said, before its
placeholders are filled. Those of the adapters are marked in the same way, and lie in the same catalogues.
"""

import gettext
from collections.abc import Sequence
from functools import cache
from importlib.resources import files
from io import BytesIO

from babel.lists import format_list
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po

SOURCE = "en"
"""The language in which the sentences are written."""

LANGUAGES = (SOURCE, "de", "es", "zh")
"""ISO 639-1. Chinese is written in simplified characters."""


def msgid(sentence: str) -> str:
    """`sentence` itself: marks it for the catalogues. Must be given as a literal."""
    return sentence


def language_of(locale: str) -> str:
    """The one of `LANGUAGES` for a platform's `locale` ("de", "es-419", "zh_CN"); English where there is none.

    Only the language counts: who reads traditional characters gets the simplified ones.
    """
    language = locale.replace("_", "-").partition("-")[0].lower()
    return language if language in LANGUAGES else SOURCE


def translated(sentence: str, locale: str) -> str:
    """`sentence`, which `msgid` has marked, for whoever has `locale`; as it is where nobody has translated it."""
    return _catalogue(language_of(locale)).gettext(sentence) if sentence else ""


def any_of(words: Sequence[str], locale: str) -> str:
    """ "a, b, or c", as the language has it."""
    return format_list(words, style="or", locale=language_of(locale))


@cache
def _catalogue(language: str) -> gettext.NullTranslations:
    if language == SOURCE:
        return gettext.NullTranslations()
    compiled = BytesIO()
    with files("core").joinpath("locales", f"{language}.po").open("rb") as text:
        write_mo(compiled, read_po(text, locale=language))
    compiled.seek(0)
    return gettext.GNUTranslations(compiled)
