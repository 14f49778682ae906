"""The folder that the bot writes to. Knows nothing of what is written there."""

import errno
import tempfile
from pathlib import Path

from core.errors import CoreError

_PROBE = b"\0" * 65536


class Unwritable(CoreError):
    """Nothing can be written to the folder. `fix` says what to do."""

    def __init__(self, folder: Path, exc: OSError) -> None:
        full = exc.errno in {errno.ENOSPC, errno.EDQUOT}
        self.why = f"cannot write to {folder}: {exc.strerror}"
        self.fix = "Make room on its disk." if full else "Set data_dir to a folder of yours."
        super().__init__(f"{self.why}. {self.fix}")


def prepare(folder: Path) -> None:
    """Make `folder`, if it is missing, and see whether it takes what is written. Raises `Unwritable`."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder) as file:
            file.write(_PROBE)
    except OSError as exc:
        raise Unwritable(folder, exc) from None
