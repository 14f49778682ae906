"""Muon (Jordan et al., 2024: https://kellerjordan.github.io/posts/muon/): the momentum of each matrix inside a
model is made orthogonal before it is applied, so that no direction of it is learnt slower than another. Its steps
are as large as those of AdamW (Liu et al., 2025: https://arxiv.org/abs/2502.16982), by which all else learns: one
learning rate is right for both.

PyTorch's own computes in bfloat16, which most CPUs have to imitate, and knows matrices only.
"""

import math
from collections import defaultdict
from collections.abc import Callable
from typing import Any

import torch
from torch import nn
from torch.optim import AdamW
from typing_extensions import override

_MOMENTUM = 0.95
_STEPS = 5
_QUINTIC = 3.4445, -4.7750, 2.0315  # Jordan's: the steepest at 0
_AS_ADAMW = 0.2  # the root mean square of AdamW's steps, about
_EPSILON = 1e-7


def orthogonal(matrices: torch.Tensor) -> torch.Tensor:
    """The same singular vectors with values of about 1, 0.7 to 1.2, `[..., row, column]`; what was next to nothing
    may stay smaller. By iterations of Newton and Schulz."""
    a, b, c = _QUINTIC
    is_tall = matrices.shape[-2] > matrices.shape[-1]
    found: torch.Tensor = matrices.mT if is_tall else matrices
    found = found / (torch.linalg.matrix_norm(found, keepdim=True) + _EPSILON)
    for _ in range(_STEPS):
        square = found @ found.mT
        found = a * found + (b * square + c * square @ square) @ found
    return found.mT if is_tall else found


class Muon(AdamW):
    """Of the parameters of a transformers model. Embeddings, the output's too, and vectors go by AdamW."""

    def __init__(self, model: Any, lr: float, weight_decay: float) -> None:
        outside = [model.get_input_embeddings(), model.get_output_embeddings()]
        embeddings = {id(each.weight) for each in outside if each is not None}
        inside: list[nn.Parameter] = []
        others: list[nn.Parameter] = []
        for parameter in model.parameters():
            is_inside = parameter.ndim == 2 and id(parameter) not in embeddings
            (inside if is_inside else others).append(parameter)
        groups = [
            {"params": inside, "weight_decay": weight_decay},
            {"params": [each for each in others if each.ndim > 1], "weight_decay": weight_decay},
            {"params": [each for each in others if each.ndim < 2], "weight_decay": 0.0},
        ]
        super().__init__(groups, lr=lr, betas=(0.9, 0.95))

    @torch.no_grad()
    @override
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        groups = self.param_groups
        self.param_groups = groups[1:]
        try:
            loss = super().step(closure)
        finally:
            self.param_groups = groups
        self._turn(groups[0])
        return loss

    def _turn(self, group: dict[str, Any]) -> None:
        alike: defaultdict[torch.Size, list[nn.Parameter]] = defaultdict(list)
        for matrix in group["params"]:
            if matrix.grad is not None:
                alike[matrix.shape].append(matrix)
        for shape, matrices in alike.items():
            size = group["lr"] * _AS_ADAMW * math.sqrt(max(shape))
            steps = orthogonal(torch.stack([self._ahead(matrix) for matrix in matrices]))
            for matrix, step in zip(matrices, steps.unbind(), strict=True):
                matrix.mul_(1 - group["lr"] * group["weight_decay"]).add_(step, alpha=-size)

    def _ahead(self, matrix: nn.Parameter) -> torch.Tensor:
        """The gradient, and what it does to the momentum of it: Nesterov's."""
        assert matrix.grad is not None
        state = self.state[matrix]
        if not state:
            state["step"] = torch.zeros(())  # AdamW looks for it in whatever is loaded
            state["momentum"] = torch.zeros_like(matrix)
        momentum: torch.Tensor = state["momentum"].lerp_(matrix.grad, 1 - _MOMENTUM)
        return matrix.grad.lerp(momentum, _MOMENTUM)
