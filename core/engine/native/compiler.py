"""Compiles llama.c once and keeps the library in a folder. Knows the compiler, and nothing of models.

The library is not linked to an OpenMP of its own: it finds the one that PyTorch has loaded, so that the process
has one team of threads.
"""

import logging
import os
import platform
import shutil
import subprocess
import sys
from hashlib import sha256
from pathlib import Path
from tempfile import TemporaryDirectory

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("llama.c")
_INSTRUCTIONS = ("-mavx512f", "-mavx512bw", "-mavx512vl", "-mavx512dq", "-mavx512vnni", "-mfma")
_FLAGS = ("-std=gnu11", "-O3", "-fPIC", "-fopenmp", "-ffp-contract=off", *_INSTRUCTIONS)
_PATIENCE = 120.0  # seconds


class NotCompiled(Exception):
    """There is no library. The text says why."""


def compiled(folder: Path) -> Path:
    """The library, which lies in `folder` under a name that changes with its source. Blocks for seconds when it is
    not there yet. Raises `NotCompiled`."""
    if sys.platform != "linux" or platform.machine() != "x86_64":
        raise NotCompiled("the native step is for Linux on x86-64")
    source = _SOURCE.read_bytes()
    library = folder / f"llama-{sha256(source + ' '.join(_FLAGS).encode()).hexdigest()[:16]}.so"
    if not library.exists():
        _compile(library)
        log.info("compiled %s", library)
    return library


def _compile(library: Path) -> None:
    if (compiler := shutil.which("gcc") or shutil.which("cc")) is None:
        raise NotCompiled("there is no C compiler (gcc)")
    try:
        library.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        with TemporaryDirectory(dir=library.parent) as folder:
            code, whole = Path(folder, "llama.o"), Path(folder, "llama.so")
            _run(compiler, *_FLAGS, "-c", str(_SOURCE), "-o", str(code))
            _run(compiler, "-shared", str(code), "-o", str(whole), "-lm")  # -fopenmp would name an OpenMP
            os.replace(whole, library)  # noqa: PTH105  in one step, also beside another process that does the same
    except OSError as error:
        raise NotCompiled(f"{library.parent} cannot be written: {error}") from error


def _run(*command: str) -> None:
    try:
        subprocess.run(command, check=True, capture_output=True, text=True, timeout=_PATIENCE)  # noqa: S603 ours
    except subprocess.CalledProcessError as error:
        reason = error.stderr.strip().splitlines()[:1]
        raise NotCompiled(f"{command[0]} failed: {' '.join(reason)}") from error
    except subprocess.TimeoutExpired as error:
        raise NotCompiled(f"{command[0]} took longer than {_PATIENCE:.0f} s") from error
