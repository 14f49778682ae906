"""Whatever was trained here answers a message that came in at Telegram."""

from collections.abc import Callable
from pathlib import Path

import pytest

from adapters.telegram.adapter import TelegramAdapter, TelegramSettings
from core.dialogue import DialogueSettings
from core.engine.engine import Message, Params
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.store.store import Store
from core.training.adversarial.adversarial import adversarial
from core.training.adversarial.game import GameSettings
from core.training.adversarial.training import Plan
from core.training.corpora.corpus import Corpus, read
from core.training.finetune import Method, finetune
from core.training.pretrain import pretrain
from core.training.run import RunSettings
from tests.core.engine.tiny import ask, running
from tests.core.training.test_corpora import many, written
from tests.core.training.test_finetune import base
from tests.fakes.telegram import FakeTelegram
from tests.running import running as bot

PARAMS = Params(max_tokens=8, temperature=0.0)
PERSONA = "Be kind."


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Corpus:
    return read([str(written(tmp_path_factory.mktemp("corpus") / "talk.jsonl", many(200)))])


def tell(_what: str, _share: float) -> None:
    """Nobody watches."""


def pretrained(corpus: Corpus, folder: Path) -> None:
    run = RunSettings(output=folder, steps=40, batch=8, learning_rate=0.01, checkpoint_minutes=10)
    pretrain(corpus, run, context=64, progress=tell)


def tuned(method: Method, *, merge: bool = True) -> Callable[[Corpus, Path], None]:
    def train(corpus: Corpus, folder: Path) -> None:
        source = base(folder.parent / "base", template=True)
        run = RunSettings(output=folder, steps=20, batch=8, learning_rate=0.02, checkpoint_minutes=10)
        finetune(
            corpus, run, base=str(source), models_dir=folder.parent, method=method, merge=merge, progress=tell
        )

    return train


def played(corpus: Corpus, folder: Path) -> None:
    plan = Plan(warm_up=40, discriminator=1, rounds=1, plays=1, tells=1)
    settings = GameSettings(batch=8, learning_rate=0.01)
    adversarial(corpus, folder, plan, settings, context=16, reply=4, progress=tell)


KINDS = {
    "pretrained": pretrained,
    "tuned": tuned("full"),
    "tuned by LoRA": tuned("lora"),
    "tuned by LoRA, unmerged": tuned("lora", merge=False),
    "adversarial": played,
}


@pytest.mark.parametrize("kind", KINDS)
async def test_a_message_on_telegram_is_answered_by_the_model_that_was_trained(
    kind: str, corpus: Corpus, store: Store, tmp_path: Path
) -> None:
    folder = tmp_path / "model"
    KINDS[kind](corpus, folder)
    loaded = load(str(folder), models_dir=tmp_path, precision="float32", progress=tell)
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01))
    chat = (Message("system", PERSONA), Message("user", "What is 7?"))
    async with running(engine):
        expected = (await ask(engine, chat, PARAMS)).text.strip()
    assert expected
    dialogue = DialogueSettings(persona=PERSONA, params=PARAMS)
    async with FakeTelegram() as telegram:
        adapter = TelegramAdapter(TelegramSettings(token=telegram.token, api_base=telegram.api_base), store.fleet)
        async with bot(adapter, store=store, engine=engine, dialogue=dialogue):
            await telegram.say("What is 7?")
            await telegram.until(lambda: "".join(telegram.shown("ann")).startswith(expected))
