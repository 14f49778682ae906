"""Llama's forward pass in int8 on a CPU, with few and large operations.

transformers' own layers are right but made of many small operations, each with a cost of its own: a step of one
token takes three times as long there. Here projections that read the same rows are one matrix product, rotary
embedding is one multiplication of complex numbers, a norm's factor is multiplied with its rows' scale, and nearly
every operation writes to memory that the next step uses again. What the attention's projections and the output
head read is rounded finely: that takes off two thirds of the perplexity that int8 costs SmolLM2.

The architecture is the one of transformers' `LlamaForCausalLM`; `fits` says for which of its variants this holds.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn
from transformers import LlamaForCausalLM, PreTrainedModel

from core.engine.attend import Look, Span, Step
from core.engine.int8 import FineProduct, FineQuantizer, PackedWeight, Product, Quantizer, own
from core.engine.keys_values import KeysValues

_ROPE_TYPES = frozenset({"default", "linear", "llama3", "yarn"})  # those whose angles do not change with length


def fits(model: PreTrainedModel) -> bool:
    """Whether `Int8Llama` computes what `model` does."""
    config: Any = model.config
    return (
        type(model) is LlamaForCausalLM
        and config.hidden_act == "silu"
        and not config.attention_bias
        and not config.mlp_bias
        and config.rope_parameters.get("rope_type", "default") in _ROPE_TYPES
    )


@dataclass(frozen=True, slots=True)
class _Scratch:
    """Memory for a step of so many tokens."""

    normed: torch.Tensor
    norm: torch.Tensor
    fine: FineQuantizer
    hidden: Quantizer
    attended: Quantizer
    inner: Quantizer
    qkv: FineProduct
    gate_up: Product
    out: Product

    def narrow(self, rows: int) -> "_Scratch":
        """For fewer tokens, in the same memory."""
        return _Scratch(
            self.normed[:rows],
            self.norm[:rows],
            self.fine.narrow(rows),
            self.hidden.narrow(rows),
            self.attended.narrow(rows),
            self.inner.narrow(rows),
            self.qkv.narrow(rows),
            self.gate_up.narrow(rows),
            self.out.narrow(rows),
        )


class _Layer:
    def __init__(self, layer: Any) -> None:
        attention, mlp = layer.self_attn, layer.mlp
        dimension, scale = attention.head_dim, attention.scaling
        self.attention_norm = own(layer.input_layernorm.weight)
        self.mlp_norm = own(layer.post_attention_layernorm.weight)
        self.qkv = PackedWeight.pack(
            _interleaved(attention.q_proj.weight, dimension) * scale,
            _interleaved(attention.k_proj.weight, dimension),
            attention.v_proj.weight,
        )
        self.out = PackedWeight.pack(attention.o_proj.weight)
        self.gate_up = PackedWeight.pack(mlp.gate_proj.weight, mlp.up_proj.weight)
        self.down = PackedWeight.pack(mlp.down_proj.weight)


def _interleaved(weight: torch.Tensor, dimension: int) -> torch.Tensor:
    """Rotary embedding turns the pairs (i, i + half) of a head; here they become neighbours, (2i, 2i + 1), the
    parts of a complex number. Queries and keys are changed alike, so that their products stay the same."""
    heads = weight.view(-1, 2, dimension // 2, weight.shape[1])
    return heads.transpose(1, 2).reshape(weight.shape)


class Int8Llama:
    """Takes the weights out of `model`, which is of no use afterwards."""

    def __init__(self, model: PreTrainedModel, memory: KeysValues, *, context: int) -> None:
        config: Any = model.config
        body: Any = model.model
        head: Any = model.lm_head
        attention = body.layers[0].self_attn
        self.memory = memory
        self.vocabulary: int = config.vocab_size
        self._epsilon = torch.tensor(config.rms_norm_eps)
        self._look = Look(1.0)  # the scale is in the queries' weights
        self._heads = (config.num_attention_heads, config.num_key_value_heads, config.num_key_value_heads)
        self._dimension: int = attention.head_dim
        self._widths = (
            config.hidden_size,
            self._heads[0] * self._dimension,
            config.intermediate_size,
        )
        self._turns = torch.complex(*turns(body.rotary_emb, context))
        self._head = PackedWeight.pack(head.weight)
        self._embedding = own(body.embed_tokens.weight)
        self._norm = own(body.norm.weight)
        self._layers: list[_Layer] = []
        while len(body.layers):
            self._layers.append(_Layer(body.layers.pop(0)))
        self._scratch: dict[int, _Scratch] = {}
        self._logits = FineProduct.empty(0, self.vocabulary)

    def forward(
        self, ids: torch.Tensor, positions: torch.Tensor, spans: Sequence[Span], wanted: torch.Tensor
    ) -> torch.Tensor:
        """See `core.engine.runner.Model`. The logits are good until the next call."""
        step = Step(self.memory, spans)
        x = nn.functional.embedding(ids, self._embedding)
        turns = self._turns[positions][:, None]
        scratch = self._scratch_for(len(x))
        for number, layer in enumerate(self._layers):
            self._attend(number, layer, x, turns, step, scratch)
            self._think(layer, x, scratch)
        return self._read_out(x[wanted]) if len(wanted) else x.new_empty(0, self.vocabulary)

    def _attend(
        self, number: int, layer: _Layer, x: torch.Tensor, turns: torch.Tensor, step: Step, scratch: _Scratch
    ) -> None:
        """Adds a layer's attention to `x`."""
        scale = self._normed(x, layer.attention_norm, scratch.fine, scratch)
        qkv = scratch.qkv(scratch.fine.values, layer.qkv).mul_(scale).view(len(x), -1, self._dimension)
        pairs = torch.view_as_complex(qkv[:, : -self._heads[2]].view(len(x), -1, self._dimension // 2, 2))
        torch.mul(pairs, turns, out=pairs)
        query, key, value = qkv.split_with_sizes(self._heads, 1)
        attended = step.attend(number, query, key, value, self._look).view(len(x), -1)
        out = scratch.out(scratch.attended(attended), layer.out)
        x.addcmul_(out, scratch.attended.largest)

    def _think(self, layer: _Layer, x: torch.Tensor, scratch: _Scratch) -> None:
        """Adds a layer's feed-forward network to `x`."""
        scale = self._normed(x, layer.mlp_norm, scratch.hidden, scratch)
        gate, up = scratch.gate_up(scratch.hidden.values, layer.gate_up).chunk(2, 1)
        inner = nn.functional.silu(gate.mul_(scale), inplace=True).mul_(up)
        out = scratch.out(scratch.inner(inner), layer.down)
        x.addcmul_(out, scratch.inner.largest.mul_(scale))  # `up` has not had it yet

    def _read_out(self, x: torch.Tensor) -> torch.Tensor:
        if len(self._logits) < len(x):
            self._logits = FineProduct.empty(len(x), self.vocabulary)
        scratch = self._scratch_for(len(x))
        scale = self._normed(x, self._norm, scratch.fine, scratch)
        return self._logits.narrow(len(x))(scratch.fine.values, self._head).mul_(scale)

    def _normed(
        self, x: torch.Tensor, weight: torch.Tensor, quantize: Quantizer | FineQuantizer, scratch: _Scratch
    ) -> torch.Tensor:
        """Leaves the rows of an RMS norm as int8 in `quantize` and returns each row's scale: the norm's factor
        times the largest magnitude, so that the rows themselves need not be multiplied by either."""
        quantize(torch.mul(x, weight, out=scratch.normed))
        norm = torch.linalg.vector_norm(x, 2, 1, True, out=scratch.norm)
        torch.addcmul(self._epsilon, norm, norm, value=1.0 / x.shape[1], out=norm)
        scale: torch.Tensor = norm.rsqrt_().mul_(quantize.largest)
        return scale

    def _scratch_for(self, rows: int) -> _Scratch:
        if (scratch := self._scratch.get(rows)) is None:
            if rows > (most := max(self._scratch, default=0)):
                most = max(rows, 2 * most)
                self._scratch = {most: self._empty(most)}
            scratch = self._scratch[rows] = self._scratch[most].narrow(rows)
        return scratch

    def _empty(self, rows: int) -> _Scratch:
        hidden, attended, inner = self._widths
        return _Scratch(
            normed=torch.empty(rows, hidden),
            norm=torch.empty(rows, 1),
            fine=FineQuantizer.empty(rows, hidden),
            hidden=Quantizer.empty(rows, hidden),
            attended=Quantizer.empty(rows, attended),
            inner=Quantizer.empty(rows, inner),
            qkv=FineProduct.empty(rows, sum(self._heads) * self._dimension),
            gate_up=Product.empty(rows, 2 * inner),
            out=Product.empty(rows, hidden),
        )


def turns(rotary: nn.Module, context: int) -> tuple[torch.Tensor, torch.Tensor]:
    """Cosines and sines, `[position, pair]`: by how much each pair of a head's dimensions is turned at each
    position."""
    positions = torch.arange(context)[None]
    cosine, sine = rotary(torch.zeros(1), positions)
    half = cosine.shape[-1] // 2
    return cosine[0, :, :half].float().contiguous(), sine[0, :, :half].float().contiguous()
