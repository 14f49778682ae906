"""A training from its beginning to a model that is served, and all that may break it off."""

import csv
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.engine.engine import Params
from core.engine.loading import load
from core.engine.local import LocalEngine, LocalSettings
from core.errors import CannotTrain
from core.training.corpora.corpus import Corpus, read
from core.training.pretrain import pretrain
from core.training.run import RunSettings, Trained
from tests.core.engine.tiny import ask, running
from tests.core.training.test_corpora import many, written

CONTEXT = 32
ROOT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def talk(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return written(tmp_path_factory.mktemp("corpus") / "talk.jsonl", many(200))


@pytest.fixture(scope="module")
def corpus(talk: Path) -> Corpus:
    return read([str(talk)])


@pytest.fixture(scope="module")
def whole(corpus: Corpus, tmp_path_factory: pytest.TempPathFactory) -> Trained:
    """Four steps that nothing broke off."""
    return train(corpus, tmp_path_factory.mktemp("whole") / "out")


def train(
    corpus: Corpus, output: Path, *, steps: int = 4, seed: int = 0, at: dict[int, Callable[[], None]] | None = None
) -> Trained:
    """With a checkpoint after each step; what `at` has is done once that step's checkpoint is there."""

    def tell(what: str, _share: float) -> None:
        for step, act in (at or {}).items():
            if what.startswith(f"step {step + 1}"):
                act()

    settings = RunSettings(output=output, steps=steps, batch=4, checkpoint_minutes=1e-9, seed=seed)
    return pretrain(corpus, settings, context=CONTEXT, progress=tell)


def curve(output: Path) -> list[dict[str, str]]:
    with (output / "loss.csv").open() as file:
        return list(csv.DictReader(file))


async def served(folder: Path, tmp_path: Path) -> str:
    loaded = load(str(folder), models_dir=tmp_path / "models", progress=lambda _what, _share: None)
    engine = LocalEngine(loaded, LocalSettings(kv_cache_gb=0.01))
    async with running(engine):
        return (await ask(engine, "Hi", Params(max_tokens=4, temperature=0.0))).finish[-1]


async def test_what_was_trained_has_a_falling_loss_and_is_served(corpus: Corpus, tmp_path: Path) -> None:
    trained = train(corpus, tmp_path / "out", steps=8)
    rows = curve(tmp_path / "out")
    losses = [float(row["validation_loss"]) for row in rows]
    assert (trained.steps, trained.interrupted, len(rows)) == (8, False, 8)
    assert losses[-1] < losses[0] - 0.1
    assert trained.loss == pytest.approx(min(losses))
    assert (tmp_path / "out" / "loss.png").read_bytes().startswith(b"\x89PNG")
    assert len(list((tmp_path / "out" / "checkpoints").iterdir())) == 2
    assert await served(tmp_path / "out", tmp_path) in {"length", "stop"}


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_an_interrupt_keeps_a_checkpoint_and_to_go_on_is_as_if_it_had_never_stopped(
    corpus: Corpus, whole: Trained, tmp_path: Path, number: signal.Signals
) -> None:
    before = signal.getsignal(number)
    out = tmp_path / "out"
    broken = train(corpus, out, at={1: lambda: signal.raise_signal(number)})
    assert broken.interrupted
    assert not (out / "config.json").exists(), "it is no model yet"
    assert signal.getsignal(number) is before
    again = train(corpus, out)
    assert (again.steps, again.interrupted) == (4, False)
    assert again.loss == pytest.approx(whole.loss, rel=1e-5)
    assert [row["step"] for row in curve(out)] == ["1", "2", "3", "4"], "no step was made twice"


def test_after_a_kill_it_goes_on_from_the_last_checkpoint_that_is_whole(
    talk: Path, corpus: Corpus, whole: Trained, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    program = (
        "import signal, pathlib\nfrom tests.core.training.test_run import *\n"
        f"kill = lambda: signal.raise_signal(signal.SIGKILL)\n"
        f"train(read([{str(talk)!r}]), pathlib.Path({str(out)!r}), at={{2: kill}})"
    )
    killed = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, check=False, timeout=170
    )
    assert killed.returncode == -signal.SIGKILL, killed.stderr[-2000:]
    half = out / "checkpoints" / "checkpoint-3"
    half.mkdir(exist_ok=True)
    (half / "model.safetensors").write_bytes(b"half")
    (half / "trainer_state.json").write_text('{"global_step": 3, "ep')
    assert train(corpus, out).loss == pytest.approx(whole.loss, rel=1e-5)


def test_a_full_disk_is_a_clear_error_and_the_last_checkpoint_is_gone_on_from(
    corpus: Corpus, tmp_path: Path
) -> None:
    out = tmp_path / "out"

    with (
        largest_file() as limit,
        pytest.raises(CannotTrain, match=r"cannot be written.*run the same command again"),
    ):
        train(corpus, out, at={2: lambda: limit(1_000_000)})
    assert train(corpus, out).steps == 4


@contextmanager
def largest_file() -> Iterator[Callable[[int], None]]:
    """Whoever writes more into a file is refused, as on a full disk."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_folder_that_has_something_else_is_left_alone(corpus: Corpus, tmp_path: Path) -> None:
    written(tmp_path / "letter.txt", "Dear Ann")
    with pytest.raises(CannotTrain, match="is not empty, and no training's"):
        train(corpus, tmp_path)
    train(corpus, tmp_path / "out", steps=1)
    with pytest.raises(CannotTrain, match="has another training"):
        train(corpus, tmp_path / "out", seed=1)
    with pytest.raises(CannotTrain, match="must be more than 0"):
        RunSettings(output=tmp_path, minutes=0)


def test_a_corpus_without_a_row_is_refused(corpus: Corpus, tmp_path: Path) -> None:
    with pytest.raises(CannotTrain, match="choose a smaller context"):
        pretrain(corpus, RunSettings(output=tmp_path), context=100_000, progress=lambda _what, _share: None)


@pytest.mark.timeout(180)
def test_two_processes_train_one_model(talk: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    options = ["--steps", "3", "--batch", "2", "--context", "32", "--checkpoint-minutes", "0.0000001"]
    command = ["-m", "bots", "train", "pretrain", str(talk), "--output", str(out), *options]
    environment = {**os.environ, "COLUMNS": "200"}
    torchrun = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", *command]
    ran = subprocess.run(
        torchrun, cwd=ROOT, env=environment, capture_output=True, text=True, check=False, timeout=170
    )
    assert ran.returncode == 0, ran.stderr[-2000:]
    assert "3 steps" in ran.stderr
    assert [row["step"] for row in curve(out)] == ["1", "2", "3"]
