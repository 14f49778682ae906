"""Converts a GGUF file into a folder that loads in a moment. Knows nothing of how the model is run.

transformers takes about 20 seconds to read a GGUF file of 100 MB, each time, and 0.2 seconds for the folder.
The folder's name is made from what the file is, and its being there means that it is whole: everything is written
beside it and renamed at the end. A lock file keeps a second process from doing the same work, and from removing
what is being read; the system releases it when a process dies, and whoever holds it next removes what that one
left behind.

A folder says which file it was made of. When a file is converted again, because it or transformers changed, the
folders of before go. So do those of a file with the same name that is no longer where it was, as after an update
of the package that it came in. Others are left alone, also when their file is away: its disk may come back.
"""

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
import transformers
from filelock import FileLock, Timeout
from safetensors import SafetensorError
from tokenizers import pre_tokenizers
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, GgufConfig, modeling_gguf_pytorch_utils
from transformers.integrations.gguf.reader import read_gguf_metadata

from core.engine.checkpoint import FLOAT32_PARAMETERS, is_out_of_memory, silence_transformers, suitable
from core.engine.loading import Progress
from core.errors import ModelNotFound

_LAYOUT = 2  # counts up when what is written changes
_SOURCE = "source"  # in a folder: the file that it was made of
_WAIT = 900.0  # seconds for another process's conversion, far more than one takes

# Vocabularies that were learnt with each digit by itself, which transformers does not know of GGUF files: their
# numbers behind several spaces would get tokens that the model never saw there. The names are llama.cpp's.
_SINGLE_DIGITS = frozenset({"smollm", "starcoder", "refact", "command-r", "codeshell"})


@contextmanager
def converted(path: Path, *, models_dir: Path, progress: Progress) -> Iterator[Path]:
    """The folder for the GGUF file `path`, made now if it is not there. No other process removes it, or reads it,
    until the context is left; what was mapped into memory by then stays. Raises `ModelNotFound`.
    """
    folder = models_dir / f"{path.stem}-{_identity(path)}"
    with ExitStack() as held:
        try:
            models_dir.mkdir(parents=True, exist_ok=True)
            held.enter_context(_locked(folder, progress))
            if not folder.is_dir():
                _convert(path, folder, progress)
                _remove_older(path, folder)
        except Timeout as error:
            raise ModelNotFound(f"another process has been busy with {path.name} for {_WAIT:.0f} s") from error
        except (OSError, SafetensorError) as error:
            raise ModelNotFound(
                f"{path.name} cannot be converted: {error}. Check that {models_dir} can be written to and has room"
                " for four bytes a parameter"
            ) from error
        yield folder


def _identity(path: Path) -> str:
    status = path.stat()
    what = f"{path.name}\0{status.st_size}\0{status.st_mtime_ns}\0{transformers.__version__}\0{_LAYOUT}"
    return hashlib.blake2b(what.encode(), digest_size=6).hexdigest()


@contextmanager
def _locked(folder: Path, progress: Progress) -> Iterator[None]:
    lock = _lock(folder)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        progress("waiting for another process to convert the model", 0.1)
        lock.acquire()
    try:
        yield
    finally:
        lock.release()


def _lock(folder: Path) -> FileLock:
    return FileLock(folder.with_name(f".{folder.name}.lock"), timeout=_WAIT)


def _convert(path: Path, folder: Path, progress: Progress) -> None:
    part = _part(folder)
    shutil.rmtree(part, ignore_errors=True)
    try:
        part.mkdir()
        (part / _SOURCE).write_bytes(os.fsencode(path.absolute()))
        _write(path, part, progress)
        for file in part.iterdir():
            _to_disk(file)
        part.rename(folder)
    finally:
        shutil.rmtree(part, ignore_errors=True)


def _part(folder: Path) -> Path:
    return folder.with_name(f".{folder.name}.part")


def _remove_older(path: Path, folder: Path) -> None:
    """What cannot be removed, since somebody reads it or does not let us, stays for the next time."""
    for found in list(folder.parent.iterdir()):
        other = found.with_name(found.name.removeprefix(".").removesuffix(".part"))
        if other != folder and _is_succeeded_by(path, found):
            with suppress(Timeout, OSError), _lock(other).acquire(timeout=0):
                _remove(other)


def _remove(folder: Path) -> None:
    part = _part(folder)
    shutil.rmtree(part, ignore_errors=True)
    if folder.is_dir():
        folder.rename(part)  # at no time is a folder there that is not whole
        shutil.rmtree(part)


def _is_succeeded_by(path: Path, made: Path) -> bool:
    try:
        source = Path(os.fsdecode((made / _SOURCE).read_bytes()))
    except OSError:  # it is none of ours
        return False
    return source == path.absolute() or (source.name == path.name and not source.exists())


def _write(path: Path, part: Path, progress: Progress) -> None:
    silence_transformers()
    source: dict[str, Any] = {"gguf_file": path.name, "local_files_only": True}
    try:
        progress("reading the GGUF file", 0.1)
        suitable(AutoConfig.from_pretrained(path.parent, **source), path.stem)
        tokenizer = AutoTokenizer.from_pretrained(path.parent, **source)
        _split_digits(tokenizer, path)
        progress("reading the GGUF file", 0.3)
        with _reporting(progress):
            model: Any = AutoModelForCausalLM.from_pretrained(
                path.parent,
                dtype=torch.float32,
                quantization_config=GgufConfig(dequantize=True),  # without it there is nothing to save
                **source,
            )
    except ModelNotFound:
        raise
    except Exception as error:  # a broken file may raise anything
        if is_out_of_memory(error):
            raise ModelNotFound(
                f"there is not enough memory to convert {path.name}, which takes four bytes a parameter."
                " Give a folder with the original model, or serve the file with another server and set model.url"
            ) from error
        raise ModelNotFound(
            f"{path.name} is no GGUF file that transformers can read, or it is damaged or cut off:"
            f" {type(error).__name__}. Get it again, or give a folder with the original model"
        ) from error
    progress("writing the converted model", 0.85)
    model.to(_dtype(model)).save_pretrained(part)
    tokenizer.save_pretrained(part)


def _dtype(model: Any) -> torch.dtype:
    """The smallest that rounds nothing, which a file in half precision keeps; an unpacked 8-bit weight takes more.
    Of large models float32 is too much."""
    for dtype in (torch.bfloat16, torch.float16):
        if all(torch.equal(weight.to(dtype).float(), weight) for weight in model.parameters()):
            return dtype
    return torch.float32 if model.num_parameters() <= FLOAT32_PARAMETERS else torch.bfloat16


def _split_digits(tokenizer: Any, path: Path) -> None:
    metadata, _ = read_gguf_metadata(str(path))
    if metadata.get("tokenizer.ggml.pre") in _SINGLE_DIGITS:
        tokenizer.backend_tokenizer.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )


@contextmanager
def _reporting(progress: Progress) -> Iterator[None]:
    """Takes the place of the one bar in transformers that no setting turns off."""

    def report(tensors: Iterable[Any], **_: Any) -> Iterator[Any]:
        rows = list(tensors)
        for i, tensor in enumerate(rows):
            progress("unpacking the weights", 0.45 + 0.4 * i / len(rows))
            yield tensor

    module: Any = modeling_gguf_pytorch_utils
    bar, module.tqdm = module.tqdm, report
    try:
        yield
    finally:
        module.tqdm = bar


def _to_disk(file: Path) -> None:
    with file.open("rb") as opened:
        os.fsync(opened.fileno())
