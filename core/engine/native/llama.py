"""Llama's forward pass in int8, with keys and values in int8, by llama.c.

The weights are those of `core.engine.llama`, laid out for it. What differs from that is that keys and values are
rounded, too, each token's with a scale of its own for each head.
"""

import ctypes
from collections.abc import Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from core.engine import llama
from core.engine.attend import Span
from core.engine.int8 import PackedWeight, own
from core.engine.native import library
from core.engine.native.library import SPAN, WIDTH, Library
from core.engine.native.memory import Groups

_REGISTER = 16  # floats
_PADDING = 64  # of a row of logits, as the sampler reads them
_LEAST = 1e-3  # of the mean size of a head's dimensions


def fits(model: PreTrainedModel) -> bool:
    """Whether llama.c computes what `model` does: one of `core.engine.llama`, in widths that fill registers."""
    if not llama.fits(model):
        return False
    config: Any = model.config
    body: Any = model.model
    dimension: int = body.layers[0].self_attn.head_dim
    widths = config.hidden_size % WIDTH or config.intermediate_size % _REGISTER or dimension % _PADDING
    return not widths


class NativeLlama:
    """Takes the weights out of `model`, which is of no use afterwards."""

    def __init__(self, model: PreTrainedModel, memory: Groups, code: Library, *, context: int) -> None:
        config: Any = model.config
        body: Any = model.model
        head: Any = model.lm_head
        attention = body.layers[0].self_attn
        self.memory = memory
        self.vocabulary: int = config.vocab_size
        self._code = code
        self._held: list[Any] = []  # what llama.c has addresses of
        cosines, sines = llama.turns(body.rotary_emb, context)
        embedding = self._keep(own(body.embed_tokens.weight))
        norm = self._keep(own(body.norm.weight))
        out = self._matrix(head.weight)
        count = len(body.layers)
        layers = (library.Layer * count)()
        for number in range(count):
            layers[number] = self._layer(body.layers.pop(0))
        self._model = library.Model(
            layers=count,
            hidden=config.hidden_size,
            heads=config.num_attention_heads,
            kv_heads=config.num_key_value_heads,
            dimension=attention.head_dim,
            inner=config.intermediate_size,
            vocabulary=self.vocabulary,
            epsilon=config.rms_norm_eps,
            scale=attention.scaling,
            embedding=embedding,
            norm=norm,
            cosines=self._keep(cosines),
            sines=self._keep(sines),
            layer=layers,
            head=out,
        )
        for parameter in model.parameters():  # windows into a file, which is kept in memory as long as one is open
            parameter.data = parameter.new_empty(0)
        self._scratch = torch.empty(0, dtype=torch.uint8)
        self._logits = torch.empty(0, -(-self.vocabulary // _PADDING) * _PADDING)

    def forward(
        self,
        ids: torch.Tensor,
        positions: torch.Tensor,  # noqa: ARG002  the spans say the same
        spans: Sequence[Span],
        wanted: torch.Tensor,
    ) -> torch.Tensor:
        """See `core.engine.runner.Model`. The logits are good until the next call."""
        table = [(*self.memory.slot(span.place), span.row, span.start, span.length) for span in spans]
        longest, team = max(span.end for span in spans), torch.get_num_threads()
        needed = self._code.scratch(self._model, rows=len(ids), longest=longest, threads=team)
        if len(self._scratch) < needed:
            self._scratch = torch.empty(needed * 3 // 2, dtype=torch.uint8)
        if len(self._logits) < len(wanted):
            self._logits = self._logits.new_empty(len(wanted), self._logits.shape[1])
        self._code.step(
            self._model,
            ids,
            torch.tensor(table, dtype=torch.int64).view(-1, SPAN),
            wanted,
            self._logits,
            self._scratch,
            longest=longest,
            threads=team,
        )
        return self._logits[: len(wanted), : self.vocabulary]

    def _layer(self, layer: Any) -> library.Layer:
        attention, mlp = layer.self_attn, layer.mlp
        gates, ups = (each.weight.unflatten(0, (-1, WIDTH // 2)) for each in (mlp.gate_proj, mlp.up_proj))
        return library.Layer(
            attention_norm=self._keep(own(layer.input_layernorm.weight)),
            mlp_norm=self._keep(own(layer.post_attention_layernorm.weight)),
            qkv=self._matrix(*_balanced(attention, layer.input_layernorm.weight), attention.v_proj.weight),
            out=self._matrix(attention.o_proj.weight),
            gate_up=self._matrix(torch.stack((gates, ups), 1).flatten(0, 2)),
            down=self._matrix(mlp.down_proj.weight),
        )

    def _matrix(self, *weights: torch.Tensor) -> library.Matrix:
        """In llama.c's tiles. Outputs of several `[output, input]` matrices then lie side by side."""
        packed = PackedWeight.pack(*weights)
        inputs, outputs = packed.values.shape
        padded = torch.nn.functional.pad(packed.values.t(), (0, 0, 0, -outputs % WIDTH))
        tiles = padded.view(-1, WIDTH, inputs // 4, 4).transpose(1, 2).contiguous()
        values = tiles.view(torch.uint8).bitwise_xor_(128)  # 128 added
        scales = torch.nn.functional.pad(packed.scales, (0, -outputs % WIDTH))
        return library.Matrix(self._keep(values), self._keep(scales), inputs, outputs)

    def _keep(self, tensor: torch.Tensor) -> ctypes.c_void_p:
        """Its address, which is good as long as this model is."""
        self._held.append(tensor)
        return ctypes.c_void_p(tensor.data_ptr())


def _balanced(attention: Any, norm: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The weights of queries and keys, with pairs of dimensions that are large in every key made smaller there
    and larger in the queries by as much. Scores stay the same, and a key loses less to its rounding: on 20
    conversations int8 keys cost SmolLM2 1.5 % of perplexity without this, and nothing with it. As in SmoothQuant
    (Xiao et al., 2023), but how large a dimension becomes is told from the weights alone."""
    query, key = attention.q_proj.weight.detach(), attention.k_proj.weight.detach()
    size = (key * norm.detach()).unflatten(0, (-1, 2, attention.head_dim // 2)).square().sum((1, 3)).sqrt()
    size = (size / size.mean(1, keepdim=True)).clamp_(min=_LEAST).repeat(1, 2)  # [head, dimension]
    of_query = size.repeat_interleave(len(query) // len(key), 0)
    return query * of_query.flatten()[:, None], key / size.flatten()[:, None]
