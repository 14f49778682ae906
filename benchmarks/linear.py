"""The time that the model's int8 linear layers alone take, which bounds what any int8 engine on torch can reach.

Random weights in SmolLM2-135M's shapes, each layer with its own memory, so that the caches hold as little of them
as in the model; the projections that read the same rows are one product. Nothing else of a step is in it.
"""

import statistics
import time
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

import torch  # noqa: TID251

_LAYERS = 30
_SHAPES = ((576, 960), (576, 576), (576, 3072), (1536, 576))  # (input, output) of a layer's products
_HEAD = (576, 49152)
_STEPS = 15

Product = Callable[[int], Callable[[], object]]
"""Given a batch, a product ready to be called."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Milliseconds of a step's linear layers by two ways to multiply in int8 (medians), at a batch size."""

    batch: int
    int_mm: float
    linear_dynamic: float

    @property
    def tokens_per_second(self) -> float:
        return 1000 * self.batch / min(self.int_mm, self.linear_dynamic)


@torch.inference_mode()
def bounds(batches: tuple[int, ...], threads: int) -> list[Bound]:
    """Measures both ways at each batch size."""
    torch.set_num_threads(threads)
    shapes = [*_SHAPES * _LAYERS, _HEAD]
    int_mm = [_int_mm(*shape) for shape in shapes]
    dynamic = [_linear_dynamic(*shape) for shape in shapes]
    return [Bound(batch, _milliseconds(int_mm, batch), _milliseconds(dynamic, batch)) for batch in batches]


def _int_mm(inputs: int, outputs: int) -> Product:
    weight = torch.randint(-127, 127, (outputs, inputs), dtype=torch.int8).t()
    return lambda batch: partial(
        torch._int_mm,  # noqa: SLF001 the only int8 product that torch offers without a scheme around it
        torch.randint(-127, 127, (batch, inputs), dtype=torch.int8),
        weight,
    )


def _linear_dynamic(inputs: int, outputs: int) -> Product:
    scales, zeros = torch.full((outputs,), 0.01), torch.zeros(outputs, dtype=torch.long)
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", "torch.quantize_per_tensor", UserWarning)  # deprecated, but still fast
        weight = torch.quantize_per_channel(torch.randn(outputs, inputs), scales, zeros, 0, torch.qint8)
    packed = torch.ops.quantized.linear_prepack(weight, None)
    return lambda batch: partial(torch.ops.quantized.linear_dynamic, torch.randn(batch, inputs), packed)


def _milliseconds(products: list[Product], batch: int) -> float:
    ready = [product(batch) for product in products]
    times = []
    for _ in range(_STEPS):
        began = time.perf_counter()
        for product in ready:
            product()
        times.append(time.perf_counter() - began)
    return 1000 * statistics.median(times)
