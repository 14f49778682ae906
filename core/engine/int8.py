"""Linear layers in int8: weights with a scale for each output, activations with a scale for each token.

One scale for a whole batch of activations, as dynamic quantisation usually has it, ruins a model with outlier
tokens (SmolLM2's perplexity rises by 40 %) and lets a reply depend on its neighbours in the batch. With a scale
for each token, and since integer sums are exact, a row's result is the same bit for bit in every batch.
"""

from dataclasses import dataclass

import torch
from torch import nn
from transformers.pytorch_utils import Conv1D

_LARGEST = 127.0
_MOST = torch.tensor(_LARGEST)
_FINE = 254.0  # half a step of rounding is then the largest second number
_TINY = 1e-30  # instead of zero, the scale of a row of zeros


@dataclass(frozen=True, slots=True)
class PackedWeight:
    """`values` is `[input, output]`, int8, each output's inputs side by side in memory; `scales` is `[output]`,
    and has the 127 of the activations' scale in it."""

    values: torch.Tensor
    scales: torch.Tensor

    @classmethod
    def pack(cls, *weights: torch.Tensor) -> "PackedWeight":
        """Of one or several `[output, input]` matrices, whose outputs then lie side by side."""
        rows, scales = [], []
        for weight in (each.detach().float() for each in weights):
            scale = weight.abs().amax(1, keepdim=True).clamp_(min=_TINY) / _LARGEST
            rows.append((weight / scale).round_().to(torch.int8))
            scales.append(scale[:, 0] / _LARGEST)
        return cls(torch.cat(rows).t(), torch.cat(scales))


@dataclass(frozen=True, slots=True)
class Quantizer:
    """Makes rows of int8 out of rows of floats, in memory that every call uses again.

    `values` and `largest` hold the last call's rows and each row's largest magnitude, `[row, 1]`.
    """

    values: torch.Tensor
    largest: torch.Tensor
    _scaled: torch.Tensor
    _factor: torch.Tensor

    @classmethod
    def empty(cls, rows: int, width: int) -> "Quantizer":
        values = torch.empty(rows, width, dtype=torch.int8)
        return cls(values, torch.empty(rows, 1), torch.empty(rows, width), torch.empty(rows, 1))

    def narrow(self, rows: int) -> "Quantizer":
        """For fewer rows, in the same memory."""
        return Quantizer(self.values[:rows], self.largest[:rows], self._scaled[:rows], self._factor[:rows])

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        scaled = _scaled(x, self._scaled, self.largest, self._factor)
        return self.values.copy_(scaled.round_())


@dataclass(frozen=True, slots=True)
class FineQuantizer:
    """As `Quantizer`, with two int8 numbers for each float, the second in 254ths of the first: for products where
    rounding costs most. `values` is `[2 * row, input]`: all first ones, then all second ones."""

    values: torch.Tensor
    largest: torch.Tensor
    _scaled: torch.Tensor
    _first: torch.Tensor
    _factor: torch.Tensor

    @classmethod
    def empty(cls, rows: int, width: int) -> "FineQuantizer":
        values = torch.empty(2 * rows, width, dtype=torch.int8)
        scaled, first = torch.empty(2, rows, width)
        return cls(values, torch.empty(rows, 1), scaled, first, torch.empty(rows, 1))

    def narrow(self, rows: int) -> "FineQuantizer":
        """For fewer rows, in the same memory."""
        return FineQuantizer(
            self.values[: 2 * rows],
            self.largest[:rows],
            self._scaled[:rows],
            self._first[:rows],
            self._factor[:rows],
        )

    def __call__(self, x: torch.Tensor) -> torch.Tensor:
        scaled = _scaled(x, self._scaled, self.largest, self._factor)
        torch.round(scaled, out=self._first)
        first, second = self.values.chunk(2)
        first.copy_(self._first)
        second.copy_(scaled.sub_(self._first).mul_(_FINE).round_())
        return self.values


def _scaled(x: torch.Tensor, out: torch.Tensor, largest: torch.Tensor, factor: torch.Tensor) -> torch.Tensor:
    """Each row with a largest magnitude of 127, in `out`; what it was before is left in `largest`."""
    torch.abs(x, out=out)
    torch.amax(out, 1, True, out=largest)
    largest.clamp_(min=_TINY)
    torch.div(_MOST, largest, out=factor)
    return torch.mul(x, factor, out=out)


@dataclass(frozen=True, slots=True)
class Product:
    """Rows of int8 times a packed weight, as floats in memory that every call uses again. The rows' own scales
    are left to the caller."""

    _sums: torch.Tensor
    _values: torch.Tensor

    @classmethod
    def empty(cls, rows: int, width: int) -> "Product":
        return cls(torch.empty(rows, width, dtype=torch.int32), torch.empty(rows, width))

    def __len__(self) -> int:
        return len(self._sums)

    def narrow(self, rows: int) -> "Product":
        """For fewer rows, in the same memory."""
        return Product(self._sums[:rows], self._values[:rows])

    def __call__(self, rows: torch.Tensor, weight: PackedWeight) -> torch.Tensor:
        torch._int_mm(rows, weight.values, out=self._sums)  # noqa: SLF001  it has no other name
        return self._values.copy_(self._sums).mul_(weight.scales)


@dataclass(frozen=True, slots=True)
class FineProduct:
    """As `Product`, of the rows of a `FineQuantizer`."""

    _sums: torch.Tensor
    _values: torch.Tensor

    @classmethod
    def empty(cls, rows: int, width: int) -> "FineProduct":
        return cls(torch.empty(2 * rows, width, dtype=torch.int32), torch.empty(rows, width))

    def __len__(self) -> int:
        return len(self._values)

    def narrow(self, rows: int) -> "FineProduct":
        """For fewer rows, in the same memory."""
        return FineProduct(self._sums[: 2 * rows], self._values[:rows])

    def __call__(self, rows: torch.Tensor, weight: PackedWeight) -> torch.Tensor:
        torch._int_mm(rows, weight.values, out=self._sums)  # noqa: SLF001  it has no other name
        first, second = self._sums.chunk(2)
        return self._values.copy_(first).add_(second, alpha=1 / _FINE).mul_(weight.scales)


class Int8Linear(nn.Module):
    """Takes the place of `nn.Linear`: any number of rows, each computed as if it were alone."""

    def __init__(self, weight: torch.Tensor, bias: torch.Tensor | None) -> None:
        """`weight` is `[output, input]`."""
        super().__init__()
        self.weight = weight.new_empty(0)  # some models ask for its device or type
        self._packed = PackedWeight.pack(weight)
        self._bias = None if bias is None else bias.detach().float()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if not x.numel():
            return x.new_empty(*x.shape[:-1], len(self._packed.scales))
        rows = x.flatten(0, -2).float()
        quantize = Quantizer.empty(*rows.shape)
        product = Product.empty(rows.shape[0], len(self._packed.scales))
        out = product(quantize(rows), self._packed).mul_(quantize.largest)
        if self._bias is not None:
            out += self._bias
        return out.view(*x.shape[:-1], -1).to(x.dtype)


def pack_linear_layers(model: nn.Module) -> None:
    """Puts an `Int8Linear` in the place of each linear layer, one after the other, so that memory holds at most
    one of them twice. Embeddings and norms stay as they are."""
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if isinstance(child, nn.Linear):
                setattr(module, name, Int8Linear(child.weight, child.bias))
            elif isinstance(child, Conv1D):  # GPT-2's, with its weights the other way round
                setattr(module, name, Int8Linear(child.weight.t(), child.bias))
    for parameter in model.parameters():
        parameter.data = own(parameter, parameter.dtype)


def own(weight: torch.Tensor, dtype: torch.dtype = torch.float32) -> torch.Tensor:
    """A copy: what was read from a file may be a window into it, and a single one keeps all of it in memory."""
    return weight.detach().to(dtype, copy=True)
