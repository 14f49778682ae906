"""Logits out of the engine's forward pass, and what is summed up from them."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from benchmarks.chat import END_OF_TURN, ChatML
from benchmarks.packed import logits
from benchmarks.perplexity import Loss, Text, parse, text
from core.engine.loading import Loaded
from core.engine.prepared import Prepared, prepare
from tests.core.engine import tiny

_TEXTS = (tuple(range(3, 40)), (5, 4, 3), tuple(range(60, 3, -1)))


@pytest.fixture
def loaded() -> Loaded:
    return replace(tiny.loaded(tiny.byte_level()), precision="float32")


@pytest.fixture
def chatml(tmp_path: Path) -> ChatML:
    tiny.byte_level().save_pretrained(tmp_path)
    return ChatML(tmp_path / "tokenizer.json")


def _whole(prepared: Prepared, texts: Sequence[tuple[int, ...]], chunk: int) -> list[torch.Tensor]:
    parts: list[list[torch.Tensor]] = [[] for _ in texts]
    for number, start, rows in logits(prepared, texts, chunk=chunk):
        assert start == sum(map(len, parts[number]))
        parts[number].append(rows.clone())
    return [torch.cat(part) for part in parts]


@pytest.mark.parametrize("chunk", [1, 7, 256])
def test_logits_are_those_of_transformers(loaded: Loaded, chunk: int) -> None:
    with torch.inference_mode():
        expected = [loaded.model(torch.tensor([ids])).logits[0] for ids in _TEXTS]
    found = _whole(prepare(loaded, kv_cache_gb=0.01, max_running=8), _TEXTS, chunk)
    for ours, theirs in zip(found, expected, strict=True):
        torch.testing.assert_close(ours, theirs)


def test_texts_without_room_are_refused(loaded: Loaded) -> None:
    prepared = prepare(loaded, kv_cache_gb=0.01, max_running=2)
    with pytest.raises(ValueError, match="no room"):
        next(logits(prepared, _TEXTS, chunk=8))


def test_only_the_second_speaker_is_counted_with_the_end_of_the_turn(chatml: ChatML) -> None:
    found = text(chatml, ["What rains?", "Water.", "Why?", "It cools."])
    counted = [found.token_ids[at] for at in found.counted]
    assert counted == [*chatml.encode("Water."), END_OF_TURN, *chatml.encode("It cools."), END_OF_TURN]
    assert found.counted[-1] == len(found.token_ids) - 1


def test_perplexity_does_not_depend_on_how_the_text_was_cut() -> None:
    torch.manual_seed(1)
    rows, read = torch.randn(6, 10), Text((1, 2, 3, 4, 5, 6), (2, 3, 5))
    whole, pieces = Loss(), Loss()
    whole.add(read, 0, rows)
    for start in (0, 2, 4):
        pieces.add(read, start, rows[start : start + 2])
    assert pieces.perplexity == pytest.approx(whole.perplexity)
    assert whole.perplexity > 1.0


def test_a_model_that_knows_nothing_has_the_vocabulary_as_its_perplexity() -> None:
    loss = Loss()
    loss.add(Text((1, 2, 3), (1, 2)), 0, torch.zeros(3, 10))
    assert loss.perplexity == pytest.approx(10.0)


def test_precisions_are_named() -> None:
    assert parse(["--precision", "int8,float32"]).precision == ["int8", "float32"]
    with pytest.raises(SystemExit):
        parse(["--precision", "int7"])
