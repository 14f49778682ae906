"""Slack's own description of its methods, and what a request got wrong by it.

The file is slack_methods.json in the folder that TRIALOGUE_TEST_SPECS names: methods with their arguments as
docs.slack.dev has them.
"""

import json
import os
from collections.abc import Iterator, Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

_KINDS: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "number": (int, float),
    "array": list,
    "string": str,
    "enum": str,
    "channel": str,
    "timestamp": str,
    "user": str,
}

# Lists in which the SDK puts commas.
_JOINED = {"file_ids"}


class Spec:
    """The methods in the file at `path`."""

    def __init__(self, path: Path) -> None:
        self._methods: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))

    def faults(self, method: str, params: Mapping[str, Any], *, form: bool) -> list[str]:
        """What is wrong with a call, in words; never a value. In a form every value is a string."""
        if method not in self._methods:
            return [f"{method} is no method"]
        known = self._methods[method]["args"]
        return [
            *(f"{method} has no {name}" for name in params.keys() - known.keys()),
            *self._arguments(method, known, params, form=form),
        ]

    def _arguments(
        self, method: str, known: Mapping[str, Any], params: Mapping[str, Any], *, form: bool
    ) -> Iterator[str]:
        for name, argument in known.items():
            if name not in params:
                if argument.get("required"):
                    yield f"{method} lacks {name}"
            elif not form and name not in _JOINED and not _fits(argument, params[name]):
                yield f"{method}.{name} is not {argument['type']}"


def _fits(argument: Mapping[str, Any], value: Any) -> bool:
    if argument.get("format") == "json":
        return isinstance(value, (str, dict, list))
    if "type" not in argument:
        return True
    kinds = argument["type"] if isinstance(argument["type"], list) else [argument["type"]]
    return any(isinstance(value, _KINDS[kind]) for kind in kinds)


def given_spec() -> Spec | None:
    """The description, where the tests are given one."""
    folder = os.environ.get("TRIALOGUE_TEST_SPECS")
    return _read(Path(folder) / "slack_methods.json") if folder else None


@lru_cache
def _read(path: Path) -> Spec:
    return Spec(path)
