"""Programs that pip does not bring. `.ci/run` installs them."""

import os
import shutil
from pathlib import Path

import pytest


def installed(*names: str) -> str:
    """The path of the first of these that is there. If none is, the test is skipped, and with CI=true it fails."""
    for name in names:
        if found := shutil.which(name):
            return found
    raise _missing(names[0])


def from_npm(name: str) -> str:
    """The text of a script that `.ci/run` has from npm."""
    script = Path(__file__).parents[1] / ".ci" / "node_modules" / name
    if script.is_file():
        return script.read_text(encoding="utf-8")
    raise _missing(name)


def _missing(name: str) -> BaseException:
    if os.environ.get("CI") == "true":
        return pytest.fail.Exception(f"{name} is not installed, and CI tests everything")
    return pytest.skip.Exception(f"{name} is not installed")
