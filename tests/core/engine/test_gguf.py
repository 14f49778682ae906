import errno
import multiprocessing
import os
import signal
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import SpawnProcess
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

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


def convert(file: Path, models: Path) -> Path:
    with gguf.converted(file, models_dir=models, progress=nothing) as folder:
        return folder


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
    before = convert(file, models)
    os.utime(file, ns=(1, 1))
    assert convert(file, models) != before


def test_what_a_file_was_before_is_removed(file: Path, models: Path) -> None:
    before = convert(file, models)
    before.rename(before.with_name(f".{before.name}.part"))  # as of a conversion that was killed
    os.utime(file, ns=(1, 1))
    second = convert(file, models)
    assert made_in(models) == [second]
    os.utime(file, ns=(2, 2))
    third = convert(file, models)
    assert made_in(models) == [third]


def test_what_another_process_reads_is_not_removed(file: Path, models: Path) -> None:
    with gguf.converted(file, models_dir=models, progress=nothing) as read:
        os.utime(file, ns=(1, 1))
        new = convert(file, models)
        assert set(made_in(models)) == {read, new}
        assert (read / "model.safetensors").exists()
    os.utime(file, ns=(2, 2))
    newest = convert(file, models)
    assert made_in(models) == [newest]


def test_a_file_of_the_same_name_is_succeeded_only_when_it_is_gone(file: Path, models: Path) -> None:
    elsewhere = file.parent / "elsewhere" / file.name
    elsewhere.parent.mkdir()
    tiny_gguf.write(elsewhere, digits="gpt-2")
    there, here = convert(elsewhere, models), convert(file, models)
    assert set(made_in(models)) == {there, here}
    elsewhere.unlink()
    os.utime(file, ns=(1, 1))
    new = convert(file, models)
    assert made_in(models) == [new]


def test_other_models_and_other_peoples_folders_are_left_alone(file: Path, models: Path) -> None:
    other = convert(tiny_gguf.write(file.with_name("other.gguf")), models)
    file.with_name("other.gguf").unlink()
    foreign = models / "tiny-0123456789ab"
    foreign.mkdir()
    (foreign / "source").write_bytes(b"\xff\x00")
    convert(file, models)
    os.utime(file, ns=(1, 1))
    new = convert(file, models)
    assert set(made_in(models)) == {other, foreign, new}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float16, torch.bfloat16])
def test_a_file_in_half_precision_stays_so_and_nothing_is_rounded(
    tmp_path: Path, models: Path, dtype: torch.dtype
) -> None:
    file = tiny_gguf.write(tmp_path / "tiny.gguf", dtype=dtype)
    weights = load_file(convert(file, models) / "model.safetensors")
    assert {weight.dtype for weight in weights.values()} == {dtype}
    written = tiny_gguf.weights(dtype)
    assert torch.equal(weights["model.embed_tokens.weight"].float(), written["token_embd.weight"])
    assert torch.equal(weights["model.layers.1.mlp.up_proj.weight"].float(), written["blk.1.ffn_up.weight"])


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
    assert folder == convert(file, models)


def test_a_file_that_is_no_gguf_is_one_clear_error_and_leaves_nothing(tmp_path: Path, models: Path) -> None:
    broken = tmp_path / "broken.gguf"
    for content in (b"", b"not a model", bundled().read_bytes()[:1_000_000]):
        broken.write_bytes(content)
        with pytest.raises(ModelNotFound, match=r"broken\.gguf is no GGUF file"):
            load(str(broken), models_dir=models, progress=nothing)
        assert made_in(models) == []


@pytest.mark.parametrize("share", [0.2, 0.9])
def test_a_file_that_was_cut_off_is_one_clear_error_and_leaves_nothing(
    file: Path, models: Path, share: float
) -> None:
    content = file.read_bytes()
    file.write_bytes(content[: int(len(content) * share)])
    with pytest.raises(ModelNotFound, match=r"tiny\.gguf is no GGUF file .* cut off: .* Get it again"):
        load(str(file), models_dir=models, progress=nothing)
    assert made_in(models) == []


def test_an_architecture_that_cannot_run_here_is_refused_before_it_is_converted(
    tmp_path: Path, models: Path
) -> None:
    steps: list[str] = []
    file = tiny_gguf.write(tmp_path / "tiny.gguf", architecture="mamba")
    with pytest.raises(ModelNotFound, match=r"'tiny' \(mamba\) cannot be run here.* set model\.url"):
        load(str(file), models_dir=models, progress=lambda what, _: steps.append(what))
    assert UNPACKING not in steps
    assert made_in(models) == []


def test_a_folder_that_cannot_be_written_to_is_one_clear_error(file: Path, models: Path) -> None:
    models.write_text("a file where the folder should be")
    with pytest.raises(ModelNotFound, match="can be written to") as raised:
        load(str(file), models_dir=models, progress=nothing)
    assert isinstance(raised.value.__cause__, OSError)
    assert raised.value.__cause__.errno == errno.EEXIST
