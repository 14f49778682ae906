import errno
import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest

from core.engine import gguf
from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Params
from core.engine.loading import bundled, load
from core.engine.local import LocalEngine
from core.errors import ModelNotFound
from tests.core.engine import tiny_gguf
from tests.core.engine.tiny import ask, running

SPAWN = multiprocessing.get_context("spawn")
UNPACKING, WAITING = "unpacking the weights", "waiting for another process to convert the model"


def nothing(what: str, part: float) -> None: ...


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tiny_gguf.write(tmp_path / "tiny.gguf")


@pytest.fixture
def models(tmp_path: Path) -> Path:
    return tmp_path / "models"


def made_in(models: Path) -> list[Path]:
    return [path for path in models.iterdir() if path.suffix != ".lock"]


async def test_a_converted_model_answers(file: Path, models: Path, capfd: pytest.CaptureFixture[str]) -> None:
    loaded = load(str(file), models_dir=models, progress=nothing)
    assert capfd.readouterr() == ("", ""), "nothing is printed but by progress"
    assert (loaded.name, loaded.context, set(loaded.end_of_turn)) == ("tiny", 256, {2})
    engine = LocalEngine(loaded)
    async with running(engine):
        answer = await ask(engine, "hello", Params(max_tokens=5))
    assert answer.finish[-1]


def test_the_second_load_converts_nothing(file: Path, models: Path) -> None:
    first, second = [], []
    load(str(file), models_dir=models, progress=lambda what, _: first.append(what))
    [folder] = made_in(models)
    written = folder.stat().st_mtime_ns
    load(str(file), models_dir=models, progress=lambda what, _: second.append(what))
    assert UNPACKING in first
    assert UNPACKING not in second
    assert [folder] == made_in(models)
    assert folder.stat().st_mtime_ns == written


def test_a_file_that_changed_is_converted_anew(file: Path, models: Path) -> None:
    before = gguf.converted(file, models_dir=models, progress=nothing)
    os.utime(file, ns=(1, 1))
    assert gguf.converted(file, models_dir=models, progress=nothing) != before


@pytest.mark.parametrize(("digits", "same"), [("smollm", True), ("gpt-2", False)])
def test_a_vocabulary_learnt_digit_by_digit_is_split_so(tmp_path: Path, digits: str, same: bool) -> None:
    file = tiny_gguf.write(tmp_path / "tiny.gguf", digits=digits)
    chat = ChatTokenizer(load(str(file), models_dir=tmp_path / "models", progress=nothing).tokenizer)
    assert (chat.encode_text("2024") == sum(map(chat.encode_text, "2024"), ())) == same


@dataclass(slots=True)
class Converting:
    """Another process that converts, and waits for a word from us after each of its steps."""

    process: SpawnProcess
    steps: Connection

    @classmethod
    def start(cls, file: Path, models: Path) -> "Converting":
        ours, theirs = SPAWN.Pipe()
        process = SPAWN.Process(target=_convert, args=(file, models, theirs))
        process.start()
        return cls(process, ours)

    def until(self, step: str) -> None:
        while self.steps.recv() != step:
            self.steps.send("go on")

    def go_on(self, step: str) -> None:
        self.steps.send("go on")
        self.until(step)


def _convert(file: Path, models: Path, steps: Connection) -> None:
    def progress(what: str, part: float) -> None:
        steps.send(what)
        steps.recv()

    load(str(file), models_dir=models, progress=progress)


@pytest.mark.timeout(240)  # two processes import PyTorch
def test_a_second_process_waits_and_takes_over_when_the_first_is_killed(file: Path, models: Path) -> None:
    first, second = Converting.start(file, models), Converting.start(file, models)
    first.until(UNPACKING)
    second.until(WAITING)
    assert first.process.pid is not None
    os.kill(first.process.pid, signal.SIGKILL)
    first.process.join()
    [left] = made_in(models)
    assert left.suffix == ".part", "it was killed in the middle"
    second.go_on(UNPACKING)
    second.go_on("ready")
    second.steps.send("go on")
    second.process.join()
    assert second.process.exitcode == 0
    [folder] = made_in(models)
    assert folder == gguf.converted(file, models_dir=models, progress=nothing)


def test_a_file_that_is_no_gguf_is_one_clear_error_and_leaves_nothing(tmp_path: Path, models: Path) -> None:
    broken = tmp_path / "broken.gguf"
    for content in (b"", b"not a model", bundled().read_bytes()[:1_000_000]):
        broken.write_bytes(content)
        with pytest.raises(ModelNotFound, match=r"broken\.gguf is no GGUF file"):
            load(str(broken), models_dir=models, progress=nothing)
        assert made_in(models) == []


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(file: Path, models: Path) -> None:
    models.write_text("a file where the folder should be")
    with pytest.raises(ModelNotFound, match="can be written to") as raised:
        load(str(file), models_dir=models, progress=nothing)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EEXIST
