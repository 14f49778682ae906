"""A loaded model made ready to run: in its precision, with its memory, on its fastest road."""

import logging
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import PreTrainedModel

from core.engine import int8, llama
from core.engine.attention import PackedModel, shape_of
from core.engine.capacity import BLOCK, Capacity, capacity
from core.engine.keys_values import KeysValues
from core.engine.loading import Loaded
from core.engine.places import KeyValuePlaces, Places
from core.engine.runner import Model
from core.errors import ModelNotFound

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """`places` makes the books that go with the model's memory, with nothing in them."""

    model: Model
    context: int
    places: Callable[[], Places]


def prepare(loaded: Loaded, *, kv_cache_gb: float, max_running: int) -> Prepared:
    """Takes the weights out of `loaded.model`. Blocks for seconds. Raises `ModelNotFound` when the memory is not
    enough for the shortest of conversations."""
    model = loaded.model
    packed = loaded.precision == "int8"
    if packed and model.device.type != "cpu":
        raise ModelNotFound(f"{loaded.name!r} is on {model.device}, and int8 is for a CPU: set model.precision")
    shape = shape_of(model)
    dtype = torch.float32 if packed and llama.fits(model) else model.dtype
    room = _room(int(kv_cache_gb * 1e9) // shape.bytes(dtype), loaded, max_running)
    try:
        memory = KeysValues(shape, room.sizes, blocks=room.blocks, block=BLOCK, dtype=dtype, device=model.device)
    except (OSError, MemoryError, torch.OutOfMemoryError) as error:
        raise ModelNotFound(f"there is no memory for model.kv_cache_gb = {kv_cache_gb:g}: {error}") from error
    return Prepared(
        _model(model, memory, packed=packed, context=room.context),
        room.context,
        lambda: KeyValuePlaces(room.sizes, room.blocks, BLOCK),
    )


def _room(tokens: int, loaded: Loaded, max_running: int) -> Capacity:
    try:
        room = capacity(tokens=tokens, context=loaded.context, max_running=max_running)
    except ValueError as error:
        raise ModelNotFound(f"model.kv_cache_gb is too small for {loaded.name!r}: {error}") from error
    if room.context < loaded.context:
        log.warning(
            "the context of %s is cut from %d to %d tokens; a larger model.kv_cache_gb has room for more",
            loaded.name,
            loaded.context,
            room.context,
        )
    return room


def _model(model: PreTrainedModel, memory: KeysValues, *, packed: bool, context: int) -> Model:
    if packed and llama.fits(model):
        return llama.Int8Llama(model, memory, context=context)
    if packed:
        int8.pack_linear_layers(model)
    return PackedModel(model, memory)
