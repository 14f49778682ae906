"""Reads a model as transformers saves it, from a folder or the hub. Knows nothing of how it is run."""

from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer
from transformers.utils import logging as transformers_logging

from core.engine.loading import Loaded
from core.errors import ModelNotFound

# Half-precision weights are unpacked to float32 on a CPU up to this many parameters (6 GB): a token takes the
# same time there (SmolLM2-135M: 31 and 34 ms on two cores), a long prompt less, and nothing is rounded. Larger
# models stay as they are, since memory is then what runs out first.
FLOAT32_PARAMETERS = 1_500_000_000

_SMALLEST_CONTEXT = 2048  # for a model that does not say what it was made for


def read(source: str, name: str, *, hint: str) -> Loaded:
    """The checkpoint in the folder, or under the hub name, `source`. No code that comes with it is run.

    Raises `ModelNotFound`, with `hint` at the end of its text.
    """
    silence_transformers()
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(source, trust_remote_code=False)
        model_and_report: Any = AutoModelForCausalLM.from_pretrained(
            source, dtype="auto", output_loading_info=True, trust_remote_code=False
        )
    except Exception as error:  # a broken file may raise anything, a bare Exception of tokenizers included
        raise ModelNotFound(f"the model {name!r} cannot be loaded: {_first_line(error)}. {hint}") from error
    model, report = model_and_report
    if report["missing_keys"]:  # transformers would make them up
        raise ModelNotFound(f"the model {name!r} lacks {len(report['missing_keys'])} of its weights. {hint}")
    if not hasattr(tokenizer, "backend_tokenizer"):
        raise ModelNotFound(f"the model {name!r} has no tokenizer.json. {hint}")
    if torch.cuda.is_available():
        model = model.to("cuda")
    elif model.dtype in (torch.float16, torch.bfloat16) and model.num_parameters() <= FLOAT32_PARAMETERS:
        model = model.to(torch.float32)
    context = getattr(model.config.get_text_config(), "max_position_embeddings", None) or _SMALLEST_CONTEXT
    return Loaded(name, model, tokenizer, _end_of_turn(model, tokenizer), context)


def silence_transformers() -> None:
    """Its warnings and bars go to the terminal, past our logging; `Progress` is what people see."""
    transformers_logging.set_verbosity_error()  # type: ignore[no-untyped-call]
    transformers_logging.disable_progress_bar()  # type: ignore[no-untyped-call]


def _end_of_turn(model: Any, tokenizer: Any) -> frozenset[int]:
    configured = model.generation_config.eos_token_id if model.generation_config is not None else None
    ids = configured if isinstance(configured, list) else [configured]
    return frozenset(number for number in (*ids, tokenizer.eos_token_id) if number is not None)


def _first_line(error: Exception) -> str:
    return (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".")
