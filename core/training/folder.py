"""The folder of a training: whose it is, what goes wrong in it, and the model that is left there."""

import shutil
import signal
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any

import msgspec
from safetensors import SafetensorError

from core.engine.checkpoint import is_out_of_memory
from core.errors import CannotTrain

_WHAT = "training.json"


def claim(folder: Path, what: Mapping[str, Any]) -> None:
    """For the training `what`, anew or again. Raises `CannotTrain` when the folder has another one."""
    text = msgspec.json.format(msgspec.json.encode(dict(what)))
    path = folder / _WHAT
    folder.mkdir(parents=True, exist_ok=True)
    if not path.exists():
        if any(folder.iterdir()):
            raise CannotTrain(f"{folder} is not empty, and no training's: choose another folder")
        path.write_bytes(text)
    elif path.read_bytes() != text:
        raise CannotTrain(
            f"{folder} has another training, which {path} describes: choose another folder, or remove it"
        )


def publish(model: Any, tokenizer: Any, folder: Path) -> None:
    """Its configuration is put there last: without it, it is no model, and no LoRA."""
    new = folder / ".new"
    shutil.rmtree(new, ignore_errors=True)
    tokenizer.save_pretrained(new)
    model.save_pretrained(new)
    for path in sorted(new.iterdir(), key=lambda path: path.name in ("config.json", "adapter_config.json")):
        path.replace(folder / path.name)
    new.rmdir()


@contextmanager
def disk(folder: Path) -> Iterator[None]:
    """A full disk is a clear error, whoever notices it and however it says so."""
    try:
        yield
    except (OSError, SafetensorError, RuntimeError) as error:
        if is_out_of_memory(error):
            raise CannotTrain(
                "there is not enough memory: take a smaller batch, and accumulate more of them"
            ) from error
        if isinstance(error, RuntimeError) and not _is_written_badly(error):
            raise
        raise CannotTrain(
            f"{folder} cannot be written: {str(error).splitlines()[0]}. The last checkpoint is whole: make room,"
            " and run the same command again"
        ) from error


def _is_written_badly(error: RuntimeError) -> bool:
    """What torch's writer says when the disk is full."""
    return "PytorchStreamWriter" in str(error) or "inline_container" in str(error)


@contextmanager
def interrupts(stop: Callable[[], None]) -> Iterator[None]:
    """The first Ctrl-C stops it well, the second at once. Signals are for the main thread only."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def handle(number: int, _frame: object) -> None:
        stop()
        if number == signal.SIGINT:
            signal.signal(signal.SIGINT, signal.default_int_handler)

    with ExitStack() as restored:
        for number in (signal.SIGINT, signal.SIGTERM):
            restored.callback(signal.signal, number, signal.signal(number, handle))
        yield
