"""Programs that pip does not bring. `.ci/run` installs them."""

import os
import shutil

import pytest


def installed(*names: str) -> str:
    """The path of the first of these that is there. If none is, the test is skipped, and with CI=true it fails."""
    for name in names:
        if found := shutil.which(name):
            return found
    missing = f"{names[0]} is not installed"
    if os.environ.get("CI") == "true":
        pytest.fail(f"{missing}, and CI tests everything")
    pytest.skip(missing)
