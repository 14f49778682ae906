"""A loaded model made ready to run: in its precision, with its memory, on its fastest road."""

import logging
import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import torch
from transformers import PreTrainedModel

from core.engine import int8, llama
from core.engine.attention import PackedModel, shape_of
from core.engine.capacity import BLOCK, Capacity, capacity, states
from core.engine.keys_values import KeysValues
from core.engine.loading import Loaded
from core.engine.native import llama as native_llama
from core.engine.native.compiler import NotCompiled, compiled
from core.engine.native.library import Library
from core.engine.native.llama import NativeLlama
from core.engine.native.memory import Groups
from core.engine.packed_recurrent import PackedRecurrent
from core.engine.places import KeyValuePlaces, Places, StatePlaces
from core.engine.recurrent import RecurrentForCausalLM
from core.engine.runner import Model
from core.engine.state_tensors import StateTensors
from core.errors import ModelNotFound

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Prepared:
    """`places` makes the books that go with the model's memory, with nothing in them."""

    model: Model
    context: int
    places: Callable[[], Places]


def prepare(loaded: Loaded, *, kv_cache_gb: float, max_running: int, native: Path | None = None) -> Prepared:
    """Takes the weights out of `loaded.model`. Blocks for seconds. Raises `ModelNotFound` when the memory is not
    enough for the shortest of conversations.

    `native` is a folder for the compiled step, which is used where the model and the machine allow it.
    """
    model = loaded.model
    packed = loaded.precision == "int8"
    if packed and model.device.type != "cpu":
        raise ModelNotFound(f"{loaded.name!r} is on {model.device}, and int8 is for a CPU: set model.precision")
    if isinstance(model, RecurrentForCausalLM):
        return _recurrent(model, loaded, kv_cache_gb, max_running, packed=packed)
    shape = shape_of(model)
    code = _native(model, native) if packed and native is not None else None
    dtype = torch.float32 if packed and llama.fits(model) else model.dtype
    a_token = shape.layers * shape.heads * code.group(shape.dimension) // BLOCK if code else shape.bytes(dtype)
    room = _room(int(kv_cache_gb * 1e9) // a_token, loaded, max_running)
    runs: Model
    with _memory(kv_cache_gb):
        if code is not None:
            group = code.group(shape.dimension)
            groups = Groups(shape.layers, shape.heads, group, room.sizes, blocks=room.blocks)
            runs = NativeLlama(model, groups, code, context=room.context)
        else:
            memory = KeysValues(
                shape, room.sizes, blocks=room.blocks, block=BLOCK, dtype=dtype, device=model.device
            )
            runs = _model(model, memory, packed=packed, context=room.context)
    return Prepared(runs, room.context, lambda: KeyValuePlaces(room.sizes, room.blocks, BLOCK))


def _native(model: PreTrainedModel, folder: Path) -> Library | None:
    """The compiled step, if it can compute what `model` does here."""
    if not native_llama.fits(model):
        return None
    try:
        return Library(compiled(folder))
    except NotCompiled as reason:
        log.warning("the model runs on PyTorch's operations, which are slower: %s", reason)
        return None


def _recurrent(
    model: RecurrentForCausalLM, loaded: Loaded, kv_cache_gb: float, max_running: int, *, packed: bool
) -> Prepared:
    """A state is as large for any context, so nothing of that is cut. int8 is for the output layer alone."""
    shape, dtype = model.state_shape, model.dtype
    try:
        slots, blocks = states(
            int(kv_cache_gb * 1e9),
            state=math.prod(shape) * dtype.itemsize,
            context=loaded.context,
            max_running=max_running,
        )
    except ValueError as error:
        raise ModelNotFound(f"model.kv_cache_gb is too small for {loaded.name!r}: {error}") from error
    with _memory(kv_cache_gb):
        memory = StateTensors(shape, slots=slots, blocks=blocks, dtype=dtype, device=model.device)
    if packed:
        int8.pack_linear_layers(model)
    return Prepared(PackedRecurrent(model, memory), loaded.context, lambda: StatePlaces(slots, blocks))


@contextmanager
def _memory(kv_cache_gb: float) -> Iterator[None]:
    try:
        yield
    except (OSError, MemoryError, torch.OutOfMemoryError) as error:
        raise ModelNotFound(f"there is no memory for model.kv_cache_gb = {kv_cache_gb:g}: {error}") from error


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
