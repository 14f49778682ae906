"""A LoRA beside its model: a folder with low-rank changes, as peft saves them, and the name of what they change.

They are added to the weights when they are loaded: what runs is a model like any other.
"""

from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from core.engine.loading import Loaded
from core.errors import ModelNotFound

CONFIG = "adapter_config.json"


def base_of(folder: Path) -> str | None:
    """The model that the LoRA in the folder changes. `None`: there is no LoRA in it. Raises `ModelNotFound`."""
    if (folder / "config.json").exists() or not (folder / CONFIG).exists():
        return None
    try:
        base = msgspec.json.decode((folder / CONFIG).read_bytes())["base_model_name_or_path"]
    except (OSError, msgspec.DecodeError, KeyError, TypeError) as error:
        raise ModelNotFound(f"{folder / CONFIG} does not name the model that is changed") from error
    if not isinstance(base, str) or not base:
        raise ModelNotFound(f"{folder / CONFIG} does not name the model that is changed")
    return base


def changed(loaded: Loaded, folder: Path) -> Loaded:
    """The model with the changes in the folder, and the tokenizer that lies there. Raises `ModelNotFound`."""
    try:
        from peft import PeftModel  # noqa: PLC0415  only who has a LoRA needs it
        from transformers import AutoTokenizer  # noqa: PLC0415
    except ImportError as error:
        raise ModelNotFound(f"a LoRA, as in {folder}, needs the package peft, which is not installed") from error
    model: Any = loaded.model
    for parameter in model.parameters():
        parameter.data = parameter.data.clone()  # it may be a window into a file
    try:
        merged: Any = PeftModel.from_pretrained(model, folder).merge_and_unload()
        tokenizer: Any = AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
    except Exception as error:  # whatever a broken or a foreign file makes them raise
        raise ModelNotFound(
            f"the LoRA in {folder} does not fit the model {loaded.name!r}, or is damaged"
        ) from error
    return replace(loaded, name=folder.resolve().name, model=merged, tokenizer=tokenizer)
