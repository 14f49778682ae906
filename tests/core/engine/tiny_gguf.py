"""A GGUF file with a tiny random Llama in it, so that converting one takes a moment."""

import json
from pathlib import Path

import gguf
import torch

from tests.core.engine.tiny import CHATML, byte_level

_TYPES = {torch.float16: gguf.GGMLQuantizationType.F16, torch.bfloat16: gguf.GGMLQuantizationType.BF16}

WIDTH, INNER, HEADS, KV_HEADS, LAYERS = 32, 64, 4, 2, 2


def write(
    path: Path, *, digits: str = "smollm", dtype: torch.dtype = torch.float32, architecture: str = "llama"
) -> Path:
    """`digits` is the file's own word for how its tokenizer splits text, `dtype` the type of its matrices."""
    model = json.loads(byte_level().backend_tokenizer.to_str())["model"]
    tokens = sorted(model["vocab"], key=model["vocab"].__getitem__)
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(256)
    writer.add_embedding_length(WIDTH)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(10_000.0)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(digits)
    writer.add_token_list(tokens)
    writer.add_token_types([3 if token.startswith("<|") else 1 for token in tokens])
    writer.add_token_merges([" ".join(merge) for merge in model["merges"]])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_chat_template(CHATML)
    for name, weight in weights(dtype).items():
        if weight.dim() == 1 or dtype == torch.float32:
            writer.add_tensor(name, weight.numpy())
        else:
            halves = weight.to(dtype).view(torch.uint8).numpy()
            writer.add_tensor(name, halves, raw_dtype=_TYPES[dtype])
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def weights(dtype: torch.dtype) -> dict[str, torch.Tensor]:
    """In float32, each a number that `dtype` has."""
    random = torch.Generator().manual_seed(7)
    shapes = _tensors(len(byte_level()))
    return {
        name: torch.normal(0.0, 0.4, shape, generator=random).to(dtype).float() for name, shape in shapes.items()
    }


def _tensors(vocabulary: int) -> dict[str, tuple[int, ...]]:
    key_width = WIDTH // HEADS * KV_HEADS
    tensors: dict[str, tuple[int, ...]] = {
        "token_embd.weight": (vocabulary, WIDTH),
        "output_norm.weight": (WIDTH,),
    }
    for i in range(LAYERS):
        tensors |= {
            f"blk.{i}.attn_norm.weight": (WIDTH,),
            f"blk.{i}.attn_q.weight": (WIDTH, WIDTH),
            f"blk.{i}.attn_k.weight": (key_width, WIDTH),
            f"blk.{i}.attn_v.weight": (key_width, WIDTH),
            f"blk.{i}.attn_output.weight": (WIDTH, WIDTH),
            f"blk.{i}.ffn_norm.weight": (WIDTH,),
            f"blk.{i}.ffn_gate.weight": (INNER, WIDTH),
            f"blk.{i}.ffn_up.weight": (INNER, WIDTH),
            f"blk.{i}.ffn_down.weight": (WIDTH, INNER),
        }
    return tensors
