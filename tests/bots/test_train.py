"""What the trainings are told on the command line."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from bots.train import cli
from tests.core.training.test_corpora import many, written


@pytest.mark.parametrize(("command", "batch"), [("pretrain", 16), ("finetune", 8)])
def test_trainings_of_transformers_are_told_the_same_course(command: str, batch: int) -> None:
    shown = CliRunner().invoke(cli, [command, "--help"], env={"COLUMNS": "200", "TERM": "dumb"}).stdout
    options = ("minutes", "steps", "batch", "accumulate", "learning-rate", "checkpoint-minutes", "seed")
    assert [option for option in options if f"--{option} " not in shown] == []
    assert re.search(rf"--batch .*\[default: {batch}\]", shown)


@pytest.mark.parametrize("command", ["pretrain", "finetune"])
@pytest.mark.parametrize("option", ["--minutes", "--checkpoint-minutes", "--learning-rate"])
def test_course_reaches_the_training(
    command: str, option: str, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    talk = written(tmp_path / "talk.jsonl", many(20))
    ended = CliRunner().invoke(cli, [command, str(talk), "--output", str(tmp_path / "out"), option, "-1"])
    assert ended.exit_code == 1
    assert "must be more than 0" in ended.output + "".join(capfd.readouterr())
    assert not (tmp_path / "out").exists()
