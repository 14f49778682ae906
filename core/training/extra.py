"""The packages that only training needs: none of them comes with a bot that only answers."""

import importlib.util
from pathlib import Path

from core.errors import CannotTrain

_INSTALL = "Run: .venv/bin/pip install --constraint constraints.txt --editable '.[train]'"


def require(*packages: str) -> None:
    """Raises `CannotTrain` where one of them is missing. Imports none."""
    for package in packages:
        folder(package)


def folder(package: str) -> Path:
    """Where it lies. Raises `CannotTrain`."""
    spec = importlib.util.find_spec(package)
    if spec is None or not spec.submodule_search_locations:
        raise CannotTrain(f"this needs the package {package}, which is not installed. {_INSTALL}")
    return Path(spec.submodule_search_locations[0])
