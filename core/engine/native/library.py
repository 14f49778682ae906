"""llama.c as Python sees it: its structures and functions. Knows no model and no compiler."""

import ctypes
from ctypes import POINTER, Structure, c_float, c_int, c_int64, c_void_p
from pathlib import Path

import torch

from core.engine.native.compiler import NotCompiled

WIDTH = 32
"""Outputs of a tile of weights."""
TOKENS = 16
"""Tokens of a group."""


class Matrix(Structure):
    _fields_ = (("values", c_void_p), ("scales", c_void_p), ("inputs", c_int64), ("outputs", c_int64))


class Layer(Structure):
    _fields_ = (
        ("attention_norm", c_void_p),
        ("mlp_norm", c_void_p),
        ("qkv", Matrix),
        ("out", Matrix),
        ("gate_up", Matrix),
        ("down", Matrix),
    )


class Model(Structure):
    _fields_ = (
        *(
            (name, c_int64)
            for name in ("layers", "hidden", "heads", "kv_heads", "dimension", "inner", "vocabulary")
        ),
        ("epsilon", c_float),
        ("scale", c_float),
        ("embedding", c_void_p),
        ("norm", c_void_p),
        ("cosines", c_void_p),
        ("sines", c_void_p),
        ("layer", POINTER(Layer)),
        ("head", Matrix),
    )


SPAN = 5
"""Numbers of 8 bytes that are a span: where its slot begins, the slot's groups, row, start and length."""


class Library:
    """The loaded library. Its functions let other threads of Python run."""

    def __init__(self, path: Path) -> None:
        """Raises `NotCompiled` when this processor or PyTorch's OpenMP is not what it needs."""
        try:
            functions = ctypes.CDLL(str(path))
        except OSError as error:  # without GNU's OpenMP in this process its symbols are missing
            raise NotCompiled(f"{path} does not load: {error}") from error
        functions.trialogue_supported.restype = c_int
        if not functions.trialogue_supported():
            raise NotCompiled("this processor has no AVX-512 with VNNI")
        self._group = functions.trialogue_group
        self._group.argtypes, self._group.restype = (c_int64,), c_int64
        self._scratch = functions.trialogue_scratch
        self._scratch.argtypes, self._scratch.restype = (POINTER(Model), c_int64, c_int64, c_int64), c_int64
        self._step = functions.trialogue_step
        self._step.argtypes = (
            *(POINTER(Model), c_void_p, c_int64, c_void_p, c_int64, c_void_p, c_int64),
            *(c_void_p, c_int64, c_void_p, c_int64, c_int64),
        )
        self._step.restype = c_int

    def group(self, dimension: int) -> int:
        """Bytes of what one head of one layer keeps of `TOKENS` tokens."""
        return int(self._group(dimension))

    def scratch(self, model: Model, *, rows: int, longest: int, threads: int) -> int:
        """Bytes that `step` needs for so many rows, when the longest sequence has `longest` tokens."""
        return int(self._scratch(model, rows, longest, threads))

    def step(
        self,
        model: Model,
        ids: torch.Tensor,
        spans: torch.Tensor,
        wanted: torch.Tensor,
        logits: torch.Tensor,
        scratch: torch.Tensor,
        *,
        longest: int,
        threads: int,
    ) -> None:
        """`ids` is `[row]`, `spans` `[span, SPAN]` and `wanted` `[row of logits]`, all int64; `logits` is float32
        and `scratch` uint8. Raises `IndexError` for a token outside the vocabulary, before anything is done."""
        failed = self._step(
            model,
            *(ids.data_ptr(), len(ids), spans.data_ptr(), len(spans), wanted.data_ptr(), len(wanted)),
            *(logits.data_ptr(), logits.stride(0), scratch.data_ptr(), longest, threads),
        )
        if failed:
            raise IndexError("a token id is outside the model's vocabulary")
