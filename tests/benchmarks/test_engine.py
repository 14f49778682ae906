"""The command: what it runs, and what it leaves out."""

import subprocess
import sys
from pathlib import Path

import pytest

from benchmarks.cell import Cell, Outcome
from benchmarks.engine import Patience, parse, run
from benchmarks.engines import KNOWN, Known

_PEER = Known("peer", "peer", "", "torch")
_OURS = Known("ours", "trialogue", "", "torch")


def _cell(folder: Path, module: str) -> Cell:
    return Cell(module, "", "", str(folder), str(folder), [["hello"]], [["hi"]], 4)


def test_what_took_too_long_is_not_repeated_and_not_tried_with_more() -> None:
    patience = Patience(100.0)
    patience.learn(_PEER, 8, 99.0)
    assert patience.allows(_PEER, 8)
    patience.learn(_PEER, 32, 101.0)
    assert [size for size in (1, 8, 32, 64) if patience.allows(_PEER, size)] == [1, 8]


def test_our_own_engine_is_always_measured() -> None:
    patience = Patience(100.0)
    patience.learn(_OURS, 8, 101.0)
    assert patience.allows(_OURS, 64)


def test_an_engine_gets_no_more_conversations_than_it_is_made_for() -> None:
    one_by_one = Known("peer", "peer", "", "torch", most=8)
    assert [size for size in (1, 8, 32) if Patience(100.0).allows(one_by_one, size)] == [1, 8]


def test_a_process_that_fails_is_an_error_with_its_last_line(tmp_path: Path) -> None:
    outcome = run(_cell(tmp_path, "no_such_engine"), time_limit=60.0)
    assert not isinstance(outcome, Outcome)
    assert outcome.startswith("failed: exit code 1")


def test_a_process_that_takes_too_long_is_ended(tmp_path: Path) -> None:
    assert run(_cell(tmp_path, "no_such_engine"), time_limit=0.001) == "too long"


def test_arguments() -> None:
    arguments = parse(["--rounds", "1", "--sizes", "8,1", "--engines", "llama.cpp,trialogue"])
    assert (arguments.rounds, arguments.sizes) == (1, [1, 8])
    assert [engine.name for engine in arguments.engines] == ["llama.cpp", "trialogue"]
    assert [engine.name for engine in parse([]).engines] == [engine.name for engine in KNOWN if engine.default]


@pytest.mark.parametrize("wrong", [["--engines", "gpt-9"], ["--sizes", "0"], ["--sizes", "many"]])
def test_wrong_arguments_are_refused(wrong: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parse(wrong)
    assert wrong[0] in capsys.readouterr().err


def test_other_engines_inherit_nothing_of_ours() -> None:
    """Importing our engine's package changes the environment."""
    program = "import sys, benchmarks.engine; print(any(name.split('.')[0] == 'core' for name in sys.modules))"
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ended.stdout.strip() == "False"
