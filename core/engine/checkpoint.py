"""Reads a model as transformers saves it, from a folder or the hub. Knows nothing of how it is run.

The weights are in memory once: as long as they keep their type, they stay in the pages of their file.
"""

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer, PreTrainedConfig
from transformers.models.auto.configuration_auto import CONFIG_MAPPING
from transformers.utils import logging as transformers_logging

from core.engine.architecture import Architecture, Unfit, examine
from core.engine.loading import ChosenPrecision, Loaded, Precision
from core.errors import ModelNotFound

# What has to be unpacked is unpacked to float32 up to this many parameters (6 GB), which rounds nothing. Larger
# models become bfloat16, since memory is then what runs out first.
FLOAT32_PARAMETERS = 1_500_000_000

_DTYPES: dict[Precision, torch.dtype | str] = {
    "float32": torch.float32,
    "bfloat16": torch.bfloat16,
    "int8": "auto",  # the engine packs what the checkpoint has
}
_BYTES: dict[Precision, int] = {"float32": 4, "bfloat16": 2, "int8": 1}  # of a parameter, at the least
_ELSEWHERE = "Choose another model, or serve this one with another server and set model.url"


def read(
    source: str, name: str, *, hint: str, precision: ChosenPrecision = "auto", device: str | None = None
) -> Loaded:
    """The checkpoint in the folder, or under the hub name, `source`. No code that comes with it is run.

    `device` is one of torch's; by default the first GPU, and the CPU where there is none. Raises `ModelNotFound`,
    with `hint` at the end of its text where the files are at fault.
    """
    silence_transformers()
    device = device or ("cuda" if torch.cuda.is_available() else "cpu")
    chosen: Precision = ("int8" if device == "cpu" else "bfloat16") if precision == "auto" else precision
    with explained(name, hint):
        config = _config(source, name)
        architecture = suitable(config, name)
        if device == "cpu":
            _check_memory(architecture.parameters * _BYTES[chosen], name)
        tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        if not hasattr(tokenizer, "backend_tokenizer"):
            raise ModelNotFound(f"the model {name!r} has no tokenizer.json. {hint}")
        model = _weights(source, name, config, _DTYPES[chosen], hint=hint)
        _check_vocabulary(model, tokenizer, name, hint=hint)
        if model.dtype not in (torch.float32, torch.bfloat16):  # float16 is slow on a CPU, and float64 anywhere
            small = architecture.parameters <= FLOAT32_PARAMETERS
            model = model.to(torch.float32 if small else torch.bfloat16)
        model = model.to(device)
    return Loaded(name, model, tokenizer, _end_of_turn(model, tokenizer), architecture.context, chosen)


def suitable(config: PreTrainedConfig, name: str) -> Architecture:
    """Raises `ModelNotFound` for a model that the engine cannot run."""
    try:
        return examine(config)
    except Unfit as error:
        kind = config.model_type
        raise ModelNotFound(f"the model {name!r} ({kind}) cannot be run here: {error}. {_ELSEWHERE}") from error


def is_out_of_memory(error: Exception) -> bool:
    """Whether that is what `error` says; only some libraries have a class for it."""
    return isinstance(error, MemoryError | torch.OutOfMemoryError) or "allocate memory" in str(error)


def silence_transformers() -> None:
    """Its warnings and bars go to the terminal, past our logging; `Progress` is what people see."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


@contextmanager
def explained(name: str, hint: str) -> Iterator[None]:
    """Whatever a broken file makes transformers raise, a bare Exception of tokenizers included, is one error."""
    try:
        yield
    except ModelNotFound:
        raise
    except SafetensorError as error:
        raise ModelNotFound(f"the weights of {name!r} are damaged or cut off. {hint}") from error
    except Exception as error:
        if is_out_of_memory(error):
            raise ModelNotFound(f"the model {name!r} needs more memory than there is. {_ELSEWHERE}") from error
        raise ModelNotFound(f"the model {name!r} cannot be loaded: {_first_line(error)}. {hint}") from error


def _config(source: str, name: str) -> PreTrainedConfig:
    values, _ = PreTrainedConfig.get_config_dict(source)
    kind = values.get("model_type")
    if kind is not None and kind not in CONFIG_MAPPING:
        if "auto_map" in values:
            why = "it comes with code of its own, which is never run"
        else:
            why = f"this version of transformers does not know the architecture {kind!r}"
        raise ModelNotFound(f"the model {name!r} cannot be run here: {why}. {_ELSEWHERE}")
    config: PreTrainedConfig = AutoConfig.from_pretrained(source, trust_remote_code=False)
    return config


def _weights(source: str, name: str, config: PreTrainedConfig, dtype: torch.dtype | str, *, hint: str) -> Any:
    model_and_report: Any = AutoModelForCausalLM.from_pretrained(
        source, config=config, dtype=dtype, output_loading_info=True, trust_remote_code=False
    )
    model, report = model_and_report
    if report["missing_keys"]:  # transformers would make them up
        raise ModelNotFound(f"the model {name!r} lacks {len(report['missing_keys'])} of its weights. {hint}")
    return model


def _check_vocabulary(model: Any, tokenizer: Any, name: str, *, hint: str) -> None:
    """No text and no template may come out as a token that the model has no embedding for. A special token that
    nothing names may: some checkpoints have one for images that the model without images lacks."""
    rows = model.get_input_embeddings().weight.shape[0]
    added = tokenizer.added_tokens_decoder
    named = {tokenizer.bos_token, tokenizer.eos_token}
    template = str(tokenizer.chat_template or "")
    largest = max(
        number
        for token, number in tokenizer.get_vocab().items()
        if number not in added or not added[number].special or token in named or token in template
    )
    if largest >= rows:
        raise ModelNotFound(
            f"the tokenizer of {name!r} is another model's: it has {largest + 1} tokens, and the model {rows}."
            f" {hint}"
        )


def _check_memory(needed: int, name: str) -> None:
    if (memory := _memory()) is not None and needed > memory:
        raise ModelNotFound(
            f"the model {name!r} needs {needed / 1e9:.1f} GB of memory, and there are {memory / 1e9:.1f} GB."
            f" {_ELSEWHERE}"
        )


def _memory() -> int | None:
    """All that this machine, or the container, has. `None`: nobody says."""
    sizes: list[int] = []
    with suppress(AttributeError, OSError, ValueError):
        sizes.append(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    with suppress(OSError, ValueError):  # the file says "max" where there is no limit
        sizes.append(int(Path("/sys/fs/cgroup/memory.max").read_text()))
    return min(sizes, default=None)


def _end_of_turn(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(number for number in (*ids, tokenizer.eos_token_id) if number is not None)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
