"""Replies that a judge chose: the one it likes best, whole, and nothing left running when nobody reads it."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch

from core.engine.discriminator import Discriminator, DiscriminatorConfig
from core.engine.engine import IN_IDLE_TIME, Delta, Message, Params
from core.engine.judge import Judge
from core.engine.judged import JudgedEngine
from core.engine.local import LocalEngine, LocalSettings
from core.errors import ModelNotFound
from tests.core.engine.architectures import ARCHITECTURES
from tests.core.engine.tiny import byte_level, loaded, running

CHAT = (Message("user", "What now?"),)
PARAMS = Params(max_tokens=12, temperature=2.0, top_p=1.0, seed=3)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A discriminator with an opinion, whatever it is."""
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("judge")
    tokenizer = byte_level()
    config = DiscriminatorConfig(vocab_size=len(tokenizer), hidden_size=8, initializer_range=2.0)
    Discriminator(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


@pytest.fixture(params=["llama", "recurrent"])
async def engine(request: pytest.FixtureRequest) -> AsyncIterator[LocalEngine]:
    model = loaded(byte_level(), architecture=request.param)
    engine = LocalEngine(model, LocalSettings(kv_cache_gb=0.01))
    async with running(engine):
        yield engine


async def candidates(engine: LocalEngine, count: int) -> list[str]:
    texts = [""] * count
    params = replace(PARAMS, candidates=count)
    async with engine.generate(CHAT, params) as completion:
        async for delta in completion:
            texts[delta.candidate] += delta.text
    return texts


async def test_the_reply_is_the_candidate_that_the_judge_likes_best(engine: LocalEngine, folder: Path) -> None:
    texts = await candidates(engine, 5)
    judge = Judge(folder)
    scores = judge.judged(CHAT, texts)
    assert len(set(scores)) > 1
    judged = JudgedEngine(engine, judge, 5)
    async with judged.generate(CHAT, PARAMS) as completion:
        deltas = [delta async for delta in completion]
    assert [delta.text for delta in deltas] == [texts[scores.index(max(scores))]]
    assert deltas[0].finish in {"stop", "length"}
    assert deltas[0].usage is not None
    assert deltas[0].usage.completion > len(deltas[0].token_ids), "all candidates were paid for"
    assert engine.count(CHAT) == judged.count(CHAT)
    judge.close()


async def test_candidates_share_what_was_read_of_the_prompt(engine: LocalEngine) -> None:
    prompt = engine.count(CHAT)
    async with engine.generate(CHAT, replace(PARAMS, candidates=3)) as completion:
        usages = {delta.candidate: delta.usage async for delta in completion if delta.usage is not None}
    assert [usage.cached for _, usage in sorted(usages.items())] == [0, prompt - 1, prompt - 1]


async def test_who_wants_candidates_or_does_not_wait_is_not_judged(engine: LocalEngine, folder: Path) -> None:
    judge = Judge(folder)
    judged = JudgedEngine(engine, judge, 3)
    two = Params(max_tokens=3, candidates=2, seed=1)
    async with judged.generate(CHAT, two) as completion:
        assert {delta.candidate async for delta in completion} == {0, 1}
    async with judged.generate(CHAT, Params(max_tokens=3, seed=1), IN_IDLE_TIME) as completion:
        deltas: list[Delta] = [delta async for delta in completion]
    assert deltas[-1].usage is not None
    assert deltas[-1].usage.completion <= 3
    judge.close()


async def test_whoever_leaves_takes_all_candidates_along(engine: LocalEngine, folder: Path) -> None:
    judge = Judge(folder)
    async with JudgedEngine(engine, judge, 4).generate(CHAT, Params(max_tokens=400)):
        assert engine._scheduler.waiting + engine._scheduler.running == 4
    assert engine._scheduler.waiting + engine._scheduler.running == 0
    judge.close()


def test_a_folder_without_a_judge_is_refused(tmp_path: Path, folder: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no judge at"):
        Judge(tmp_path / "nowhere")
    with pytest.raises(ModelNotFound, match="is no discriminator"):
        Judge(tmp_path)
    model: Any = ARCHITECTURES["llama"](400, 64)
    model.save_pretrained(tmp_path / "llama")
    with pytest.raises(ModelNotFound, match="is no discriminator"):
        Judge(tmp_path / "llama")
    (tmp_path / "cut").mkdir()
    for file in folder.iterdir():
        (tmp_path / "cut" / file.name).write_bytes(
            file.read_bytes()[: 100 if file.suffix == ".safetensors" else None]
        )
    with pytest.raises(ModelNotFound, match="cannot be loaded"):
        Judge(tmp_path / "cut")
