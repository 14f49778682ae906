"""What the benchmarks of training count, on models and histories that are known."""

import json
import math
from pathlib import Path
from typing import Any

import pytest
import torch

from benchmarks import pretrain
from benchmarks.adversarial_results import keep
from tests.core.engine.architectures import ARCHITECTURES

HISTORY = [
    {"phase": "warm-up", "step": 0, "nll_oracle": 11.0, "nll_test": 8.5},
    {"phase": "warm-up", "step": 400, "nll_oracle": 9.5, "nll_test": 8.4},
    {"phase": "warm-up", "step": 800, "nll_oracle": 9.75, "nll_test": 8.6},
    {"phase": "rounds", "step": 1, "nll_oracle": 9.0, "nll_test": 9.5},
    {"phase": "rounds", "step": 2, "nll_oracle": 9.25, "nll_test": 9.75},
]
CHAT = [
    {
        "phase": phase,
        "discriminator_accuracy": told,
        "discriminator_loss": loss,
        "distinct_2": 0.5,
        "validation_loss": 4.1,
    }
    for phase, told, loss in (("discriminator", 0.9, 0.2), ("discriminator", 0.8, 0.3), ("rounds", 0.7, 0.5))
]


def run(seed: int) -> dict[str, Any]:
    colder = [{"temperature": 1.0, "nll_oracle": 9.5, "nll_test": 8.4}]
    return {"seed": seed, "oracle_itself": 6.0, "history": HISTORY, "temperatures": colder}


def test_the_best_of_the_game_is_compared_with_the_best_by_likelihood_and_both_parts_are_kept(
    tmp_path: Path,
) -> None:
    keep(tmp_path, {"oracle": {"settings": {"rounds": 1}, "note": "", "runs": [run(1), run(2)]}})
    keep(tmp_path, {"chitchat": {"note": "", "history": CHAT}})
    text = (tmp_path / "adversarial.md").read_text()
    assert "| 2 | 11.000 | 9.500 | 8.400 | 9.000 | 9.500 | 9.250 | 9.750 | 0.500 |" in text
    assert "Lower by 0.500 nats on average" in text
    assert "| the warmed-up generator | 0.900 | 0.500 | 4.100 |" in text
    assert "| after the game | 0.700 | 0.500 | 4.100 |" in text
    assert set(json.loads((tmp_path / "adversarial.json").read_text())) == {"oracle", "chitchat"}
    assert len((tmp_path / "adversarial.csv").read_text().splitlines()) == 1 + 2 * len(HISTORY) + len(CHAT)
    assert (tmp_path / "adversarial.png").read_bytes().startswith(b"\x89PNG")


def test_a_text_that_is_longer_than_a_window_is_counted_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A model that knows nothing: each token costs the same, in whichever window it is read."""
    model: Any = ARCHITECTURES["llama"](50, 512)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.zero_()
    model.save_pretrained(tmp_path)
    for context in (512, 8, 7):
        monkeypatch.setattr(pretrain, "_CONTEXT", context)
        bits = pretrain.transformer_bits(tmp_path, [tuple(range(1, 31)), (3,)], 0)
        assert bits == pytest.approx(31 * math.log2(50), rel=1e-5)
