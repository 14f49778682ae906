"""The compiled step: near the float model, the same bits however a batch is made, and never needed."""

import asyncio
import copy
import os
import platform
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedModel

from core.engine.attend import Span
from core.engine.attention import PackedModel
from core.engine.engine import Params
from core.engine.loading import Loaded
from core.engine.local import LocalEngine, LocalSettings
from core.engine.native.compiler import NotCompiled, compiled
from core.engine.native.library import Library
from core.engine.native.llama import NativeLlama, fits
from core.engine.native.memory import Groups
from core.engine.places import Load, Move, Place, Save
from core.engine.prepared import prepare
from core.engine.scheduler import SchedulerSettings
from core.errors import EngineError
from tests.core.engine import test_int8
from tests.core.engine.test_int8 import ROPES, VOCABULARY, logits
from tests.core.engine.test_local import question
from tests.core.engine.tiny import ask, byte_level, running

CONTEXT = 128
PROMPT = tuple(range(3, 43))
SLOTS = 8


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("native")


@pytest.fixture(scope="module")
def code(folder: Path) -> Library:
    try:
        return Library(compiled(folder))
    except NotCompiled as reason:
        if "AVX-512" in str(reason) or "x86-64" in str(reason):
            pytest.skip(f"the compiled step is not for this machine: {reason}")
        raise


def llama(vocabulary: int = VOCABULARY, **differences: Any) -> PreTrainedModel:
    shape: dict[str, Any] = {
        "hidden_size": 96,
        "intermediate_size": 176,
        "num_hidden_layers": 2,
        "num_attention_heads": 6,
        "num_key_value_heads": 2,
        "head_dim": 64,
        "max_position_embeddings": CONTEXT,
        "eos_token_id": 2,
    }
    torch.manual_seed(7)
    return LlamaForCausalLM(LlamaConfig(vocab_size=vocabulary, **(shape | differences)))


def native(code: Library, source: PreTrainedModel, *, context: int = CONTEXT) -> NativeLlama:
    """Takes the weights of `source`."""
    config: Any = source.config
    size = code.group(config.head_dim)
    layers, heads = config.num_hidden_layers, config.num_key_value_heads
    return NativeLlama(source, Groups(layers, heads, size, ((context, SLOTS),), blocks=8), code, context=context)


def read(model: NativeLlama, place: Place, start: int, token_ids: tuple[int, ...]) -> torch.Tensor:
    """The logits of all of them."""
    rows = torch.arange(len(token_ids))
    with torch.inference_mode():
        ids = torch.tensor(token_ids)
        return model.forward(ids, rows + start, [Span(place, 0, start, len(token_ids))], rows).clone()


SHAPES: dict[str, dict[str, Any]] = {
    "heads in groups of three": {},
    "a head of its own for each": {"num_key_value_heads": 6},
    "one head for all": {"num_key_value_heads": 1, "num_attention_heads": 26, "hidden_size": 416},
    "wide heads": {"head_dim": 128},
    "tied": {"tie_word_embeddings": True},
    "a vocabulary that fills no tile": {"vocab_size": VOCABULARY - 1},
    **{f"{rope['rope_type']} rope": {"rope_parameters": rope} for rope in ROPES},
}


@pytest.mark.parametrize("shape", SHAPES)
def test_it_is_near_the_float_model(code: Library, shape: str) -> None:
    differences = dict(SHAPES[shape])
    source = llama(differences.pop("vocab_size", VOCABULARY), **differences)
    assert fits(source)
    exact = logits(PackedModel(copy.deepcopy(source), test_int8.memory(source)), PROMPT, PROMPT[:7], (5,))
    found = logits(native(code, source), PROMPT, PROMPT[:7], (5,))
    assert found.shape == exact.shape
    assert not torch.equal(found, exact)
    assert torch.nn.functional.cosine_similarity(found, exact).min() > 0.995


def test_models_of_other_widths_run_on_pytorch() -> None:
    assert not fits(llama(head_dim=32))
    assert not fits(llama(intermediate_size=100))
    assert not fits(llama(hidden_act="gelu"))


@pytest.fixture(scope="module")
def model(code: Library) -> NativeLlama:
    return native(code, llama())


@settings(max_examples=30, deadline=None)
@given(
    lengths=st.lists(st.integers(1, 100), min_size=1, max_size=SLOTS),
    chunks=st.lists(st.integers(1, 40), min_size=1, max_size=6),
)
def test_a_row_is_the_same_bits_in_every_batch_and_however_it_is_cut(
    model: NativeLlama, lengths: list[int], chunks: list[int]
) -> None:
    texts = [tuple((7 * n + 3 * i) % VOCABULARY for i in range(length)) for n, length in enumerate(lengths)]
    together = logits(model, *texts)
    for text, row in zip(texts, together, strict=True):
        start, step, last = 0, 0, row
        while start < len(text):
            piece = text[start : start + chunks[step % len(chunks)]]
            last = read(model, Place(0, 3), start, piece)[-1]
            start, step = start + len(piece), step + 1
        assert torch.equal(last, row)


def test_what_a_block_gives_back_is_what_was_read(model: NativeLlama) -> None:
    text = tuple(i % VOCABULARY for i in range(70))
    first, second, third = (Place(0, index) for index in range(3))
    whole = read(model, first, 0, text)
    model.memory.copy([Save(first, 16 * n, min(16, 60 - 16 * n), n) for n in range(4)])
    read(model, first, 0, text[::-1])
    model.memory.copy(Load(n, second, 16 * n, min(16, 60 - 16 * n)) for n in range(4))
    assert torch.equal(read(model, second, 60, text[60:]), whole[60:])
    model.memory.copy([Move(second, third, 65)])
    assert torch.equal(read(model, third, 65, text[65:]), whole[65:])


def test_copies_are_done_in_their_order(model: NativeLlama) -> None:
    """Two owners of a slot, one after the other, and a block that the second one took from the first."""
    memory = model.memory
    slots, blocks = memory._slots[0], memory._blocks
    slots[:, :, :, :, 0] = torch.arange(SLOTS)[:, None, None, None] * 10 + torch.arange(8)
    places = [Place(0, n) for n in range(4)]
    memory.copy(
        [
            *(Save(places[0], 0, 16, 5), Save(places[0], 16, 16, 6), Save(places[0], 32, 16, 5)),
            *(Load(6, places[1], 0, 16), Load(5, places[1], 16, 7)),
            *(Move(places[1], places[2], 20), Load(5, places[1], 0, 16), Save(places[2], 16, 4, 7)),
        ]
    )
    assert blocks[5:8, 0, 0, 0].tolist() == [2, 1, 2]
    assert slots[1, 1, 1, :3, 0].tolist() == [2, 2, 12]
    assert slots[2, 1, 1, :3, 0].tolist() == [1, 2, 22]


def test_what_was_in_a_slot_before_is_never_seen(model: NativeLlama) -> None:
    place = Place(0, 4)
    fresh = read(model, place, 0, PROMPT)
    slots = model.memory._slots[0]
    slots[place.index].fill_(255)  # scales that are not numbers
    assert torch.equal(read(model, place, 0, PROMPT), fresh)


def test_a_token_outside_the_vocabulary_is_an_error_and_nothing_is_read(model: NativeLlama) -> None:
    for token_id in (-1, VOCABULARY):
        with pytest.raises(IndexError, match="vocabulary"):
            read(model, Place(0, 0), 0, (3, token_id))


@pytest.mark.parametrize("broken", ["embed_tokens", "layers.1.mlp.up_proj", "layers.1.self_attn.v_proj"])
def test_what_is_not_a_number_is_not_one_in_the_logits(code: Library, broken: str) -> None:
    source = llama()
    with torch.no_grad():
        source.get_parameter(f"model.{broken}.weight")[5, 5] = torch.nan
    rows = read(native(code, source), Place(0, 0), 0, (3, 4, 5))
    assert rows[-1].isnan().all()
    if broken == "embed_tokens":
        assert rows[:-1].isfinite().all(), "only token 5 has it"


async def test_an_engine_answers_alike_alone_in_company_and_from_its_cache(folder: Path, code: Library) -> None:
    tokenizer = byte_level(every_byte=False)
    params = Params(max_tokens=16, temperature=0.0)

    def engine(running_at_once: int, budget: int) -> LocalEngine:
        source = llama(len(tokenizer), max_position_embeddings=512)
        loaded = Loaded("tiny", source, tokenizer, frozenset({2}), 512, "int8")
        scheduler = SchedulerSettings(max_running=running_at_once, prefill_budget=budget)
        return LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01, scheduler=scheduler, native=folder))

    one, many = engine(1, 256), engine(8, 32)
    assert isinstance(one._prepared.model, NativeLlama)
    async with running(one):
        alone = [await ask(one, question(n), params) for n in range(1, 9)]
    async with running(many):
        together = await asyncio.gather(*(ask(many, question(n), params) for n in range(1, 9)))
        again = [await ask(many, question(n), params) for n in range(1, 9)]
    assert [answer.token_ids for answer in together] == [answer.token_ids for answer in alone]
    assert [answer.token_ids for answer in again] == [answer.token_ids for answer in alone]
    assert all(answer.usage is not None and answer.usage.cached > 0 for answer in again)


async def test_a_sequence_whose_logits_are_not_numbers_fails_alone(folder: Path, code: Library) -> None:
    tokenizer = byte_level(every_byte=False)
    source = llama(len(tokenizer), max_position_embeddings=512)
    with torch.no_grad():
        source.get_parameter("model.embed_tokens.weight")[tokenizer.convert_tokens_to_ids("~")] = torch.nan
    loaded = Loaded("tiny", source, tokenizer, frozenset({2}), 512, "int8")
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01, native=folder))
    params = Params(max_tokens=8, temperature=0.0)
    async with running(engine):
        good, bad = await asyncio.gather(
            ask(engine, "hello", params), ask(engine, "~", params), return_exceptions=True
        )
        after = await ask(engine, "hello", params)
    assert isinstance(bad, EngineError)
    assert not isinstance(good, BaseException)
    assert after.token_ids == good.token_ids


def test_it_is_compiled_once(folder: Path, code: Library) -> None:
    library = compiled(folder)
    before = library.stat()
    assert compiled(folder) == library
    assert library.stat() == before
    assert [each.suffix for each in folder.iterdir()] == [".so"]


def test_without_a_compiler_the_model_runs_on_pytorch_and_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    loaded = Loaded("tiny", llama(), byte_level(every_byte=False), frozenset({2}), CONTEXT, "int8")
    prepared = prepare(loaded, kv_cache_gb=0.01, max_running=4, native=tmp_path)
    assert not isinstance(prepared.model, NativeLlama)
    assert "no C compiler" in caplog.text or "x86-64" in caplog.text


def test_a_compiler_that_fails_is_named_with_what_it_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gcc").write_text("#!/bin/sh\necho 'llama.c: something is wrong' >&2\nexit 1\n")
    (tmp_path / "gcc").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    with pytest.raises(NotCompiled, match="something is wrong"):
        compiled(tmp_path / "native")
    assert not list((tmp_path / "native").iterdir())
