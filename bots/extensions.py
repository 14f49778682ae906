"""Extensions, found by the operator's names and by the entry points of installed packages."""

from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import EntryPoint, entry_points

from bots.settings import BadSettings
from core.commands import find
from core.extension import Extension

GROUP = "trialogue.extensions"
_ATTRIBUTE = "extension"


def load(names: Sequence[str]) -> list[Extension]:
    """Those of installed packages, and then those with the names `module` or `module:attribute`.

    Raises `BadSettings` for what cannot be imported, for what is no extension, and for a command or a tool that
    there is already.
    """
    loaded = [_loaded(point) for point in (*_installed(), *map(_named, names))]
    known: set[str] = set()
    for command in (command for extension in loaded for command in extension.commands):
        if command.name in known or find(command.name) is not None:
            raise BadSettings(f"two extensions, or one and the bot itself, have the command /{command.name}")
        known.add(command.name)
    tools = Counter(tool.tool.name for extension in loaded for tool in extension.tools)
    for name in (name for name, count in tools.items() if count > 1):
        raise BadSettings(f"two extensions have the tool {name}")
    return loaded


def _installed() -> Iterator[EntryPoint]:
    yield from sorted(entry_points(group=GROUP), key=lambda point: point.name)


def _named(name: str) -> EntryPoint:
    module, _, attribute = name.partition(":")
    return EntryPoint(name, f"{module}:{attribute or _ATTRIBUTE}", GROUP)


def _loaded(point: EntryPoint) -> Extension:
    try:
        found = point.load()
    except (AttributeError, ImportError, ValueError) as exc:
        raise BadSettings(f"extensions: {point.name} cannot be loaded: {exc}") from exc
    if not isinstance(found, Extension):
        raise BadSettings(f"extensions: {point.value} is no Extension")
    return found
