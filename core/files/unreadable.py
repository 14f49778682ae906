"""Why a file was not read."""

from core.languages import translated


class Unreadable(Exception):
    """`why` says it to whoever sent the file, as the end of a sentence: marked by `msgid`, with `values` in its
    placeholders."""

    def __init__(self, why: str, **values: object) -> None:
        super().__init__(why.format(**values))
        self._why = why
        self._values = values

    def said(self, locale: str) -> str:
        """Why, in the language of whoever has `locale`."""
        return translated(self._why, locale).format(**self._values)
