"""Muon: what it makes of a momentum, whose parameters are whose, and what it learns."""

import copy
from typing import Any

import pytest
import torch

from core.training.muon import Muon, orthogonal
from tests.core.engine.architectures import ARCHITECTURES


@pytest.fixture
def model() -> Any:
    torch.manual_seed(0)
    return ARCHITECTURES["llama"](50, 64)


def learn(model: Any, optimizer: torch.optim.Optimizer, steps: int) -> float:
    """To say the same again. Returns the loss before the last step."""
    ids = torch.randint(50, (4, 16), generator=torch.Generator().manual_seed(0))
    loss = 0.0
    for _ in range(steps):
        optimizer.zero_grad()
        told = model(input_ids=ids, labels=ids).loss
        told.backward()
        optimizer.step()
        loss = told.item()
    return loss


@pytest.mark.parametrize("shape", [(16, 16), (8, 32), (32, 8), (3, 8, 32)])
def test_singular_values_become_about_one(shape: tuple[int, ...]) -> None:
    torch.manual_seed(0)
    found = orthogonal(torch.randn(shape) * 100)
    assert found.shape == shape
    values = torch.linalg.svdvals(found)
    assert values.min() > 0.5
    assert values.max() < 1.3


def test_matrices_inside_turn_and_the_rest_goes_by_adamw(model: Any) -> None:
    before = copy.deepcopy(model)
    other = torch.optim.AdamW(before.parameters(), lr=0.01, betas=(0.9, 0.95), weight_decay=0.0)
    learn(model, Muon(model, lr=0.01, weight_decay=0.0), 1)
    inside = before.model.layers[0].mlp.up_proj.weight.detach().clone()
    learn(before, other, 1)
    assert torch.allclose(model.get_input_embeddings().weight, before.get_input_embeddings().weight)
    assert torch.allclose(model.model.norm.weight, before.model.norm.weight)
    step = model.model.layers[0].mlp.up_proj.weight.detach() - inside
    root_mean_square = step.square().mean().sqrt().item()
    assert root_mean_square == pytest.approx(0.01 * 0.2, rel=0.5), "a step is about as large as AdamW's"
    assert torch.linalg.svdvals(step).max() < 2 * torch.linalg.svdvals(step).median()


def test_it_learns_and_goes_on_from_what_was_kept(model: Any) -> None:
    optimizer = Muon(model, lr=0.01, weight_decay=0.1)
    first = learn(model, optimizer, 1)
    learn(model, optimizer, 10)
    other = copy.deepcopy(model)
    again = Muon(other, lr=1.0, weight_decay=0.1)
    again.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    assert learn(model, optimizer, 30) == learn(other, again, 30) < first / 2
