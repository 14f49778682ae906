"""Replies that a recurrent generator writes, all of a batch at once.

Sampling is by the inverse of the cumulative distribution, with one random number a token.
"""

import torch

from core.engine.recurrent import RecurrentForCausalLM
from core.training.adversarial.pairs import Pairs

_ROWS = 2048  # whose distributions over the vocabulary are in memory at once


@torch.no_grad()
def draw(
    model: RecurrentForCausalLM,
    contexts: Pairs,
    random: torch.Generator,
    *,
    end: int | None,
) -> Pairs:
    """A reply to each context, up to the token `end`, or as long as a reply of `contexts` may be."""
    out = model(contexts.context, contexts.context_mask, use_cache=True, logits_to_keep=1)
    state: torch.Tensor = out.state
    reply, mask = torch.zeros_like(contexts.reply), torch.zeros_like(contexts.reply_mask)
    alive = torch.ones(len(contexts), dtype=torch.bool)
    for at in range(reply.shape[1]):
        rows = alive.nonzero()[:, 0]
        if len(rows):
            reply[rows, at], state[rows] = _next(model, state[rows], random)
            mask[rows, at] = 1
        if end is not None:
            alive[rows[reply[rows, at] == end]] = False
    return contexts.with_replies(reply, mask)


def _next(
    model: RecurrentForCausalLM, state: torch.Tensor, random: torch.Generator
) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each row, and the states after it."""
    tokens = []
    for part in torch.split(state, _ROWS):
        shares = model.next_logits(part).softmax(-1).cumsum(-1)
        point = torch.rand(len(part), 1, generator=random) * shares[:, -1:]
        tokens.append(torch.searchsorted(shares, point)[:, 0].clamp_(max=shares.shape[1] - 1))
    ids = torch.cat(tokens)
    _, state = model.read(ids, torch.ones(len(ids), dtype=torch.long), state)
    return ids, state
