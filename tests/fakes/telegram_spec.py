"""The Bot API's own description of its methods, and what a request got wrong by it.

The file is telegram_bot_api.json in the folder that TRIALOGUE_TEST_SPECS names: methods and types with their
fields, as https://github.com/PaulSonOfLars/telegram-bot-api-spec publishes them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_PLAIN: dict[str, type | tuple[type, ...]] = {
    "Integer": int,
    "String": str,
    "Boolean": (bool, str),  # in a form a boolean is a word
    "Float": (int, float),
    "InputFile": object,
}


class Spec:
    """The methods and types in the file at `path`."""

    def __init__(self, path: Path) -> None:
        described = json.loads(path.read_text(encoding="utf-8"))
        self._methods: dict[str, Any] = {name.lower(): method for name, method in described["methods"].items()}
        self._types: dict[str, Any] = described["types"]

    def faults(self, method: str, params: Mapping[str, Any]) -> list[str]:
        """What is wrong with a call, in words; never a value."""
        if method.lower() not in self._methods:
            return [f"{method} is no method"]
        return list(self._fields(method, self._methods[method.lower()].get("fields", []), params))

    def unlike(self, kind: str, value: Mapping[str, Any]) -> list[str]:
        """What keeps a value from being of the type `kind`, in words; never a value."""
        return list(self._fields(kind, self._types[kind].get("fields", []), value))

    def _fields(self, where: str, fields: list[Any], given: Mapping[str, Any]) -> Iterator[str]:
        known = {field["name"]: field for field in fields}
        yield from (f"{where} has no {name}" for name in given.keys() - known.keys())
        for name, field in known.items():
            if name not in given:
                if field["required"]:
                    yield f"{where} lacks {name}"
            elif not any(self._fits(kind, given[name]) for kind in field["types"]):
                yield f"{where}.{name} is not {' or '.join(field['types'])}"

    def _fits(self, kind: str, value: Any) -> bool:
        if kind.startswith("Array of "):
            return isinstance(value, list) and all(
                self._fits(kind.removeprefix("Array of "), item) for item in value
            )
        if kind in _PLAIN:
            return isinstance(value, _PLAIN[kind])
        if subtypes := self._types[kind].get("subtypes"):
            return any(self._fits(subtype, value) for subtype in subtypes)
        return isinstance(value, dict) and not list(self._fields(kind, self._types[kind].get("fields", []), value))


def given_spec() -> Spec | None:
    """The description, where the tests are given one."""
    folder = os.environ.get("TRIALOGUE_TEST_SPECS")
    return _read(Path(folder) / "telegram_bot_api.json") if folder else None


@lru_cache
def _read(path: Path) -> Spec:
    return Spec(path)
