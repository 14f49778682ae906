"""Replies that a recurrent generator writes, all of a batch at once, and how they might have gone on.

Sampling is by the inverse of the cumulative distribution, with one random number a token.
"""

from dataclasses import dataclass

import torch

from core.engine.recurrent import RecurrentForCausalLM
from core.training.adversarial.pairs import Pairs

_ROWS = 2048  # whose distributions over the vocabulary are in memory at once


@dataclass(frozen=True, slots=True)
class Drawn:
    """`pairs` with generated replies. `states[i]` is what the generator knows after `i` tokens of each."""

    pairs: Pairs
    states: tuple[torch.Tensor, ...]


@torch.no_grad()
def draw(
    model: RecurrentForCausalLM,
    contexts: Pairs,
    random: torch.Generator,
    *,
    end: int | None,
    temperature: float = 1.0,
) -> Drawn:
    """A reply to each context, up to the token `end`, or as long as a reply of `contexts` may be."""
    out = model(contexts.context, contexts.context_mask, use_cache=True, logits_to_keep=1)
    state: torch.Tensor = out.state
    reply, mask = torch.zeros_like(contexts.reply), torch.zeros_like(contexts.reply_mask)
    alive = torch.ones(len(contexts), dtype=torch.bool)
    states = [state]
    for at in range(reply.shape[1]):
        rows = alive.nonzero()[:, 0]
        if len(rows):
            state = state.clone()
            reply[rows, at], state[rows] = _next(model, state[rows], random, temperature)
            mask[rows, at] = 1
        states.append(state)
        if end is not None:
            alive[rows[reply[rows, at] == end]] = False
    return Drawn(contexts.with_replies(reply, mask), tuple(states))


@torch.no_grad()
def roll_outs(
    model: RecurrentForCausalLM, drawn: Drawn, times: int, random: torch.Generator, *, end: int | None
) -> tuple[torch.Tensor, Pairs]:
    """Each reply that was drawn, gone on with `times` times from each of its tokens but the last.

    Returns which they are, `[roll-out, 2]` of the row in `drawn` and of how many of its tokens were kept, and the
    replies. All of them are written side by side: a step of a roll-out is one row of a batch.
    """
    said = drawn.pairs
    room = said.reply.shape[1]
    lengths = said.reply_mask.sum(1)
    row, kept = (torch.arange(room) < lengths[:, None]).nonzero().repeat_interleave(times, 0).unbind(1)
    row, kept = row[kept > 0], kept[kept > 0]
    reply, mask = said.reply[row], said.reply_mask[row]
    known = torch.arange(room) < kept[:, None]
    reply, mask = reply * known, mask * known
    state = torch.empty(len(row), *drawn.states[0].shape[1:])
    alive = torch.zeros(len(row), dtype=torch.bool)
    for at in range(1, room):
        begins = kept == at
        state[begins] = drawn.states[at][row[begins]]
        alive |= begins
        rows = alive.nonzero()[:, 0]
        if not len(rows):
            continue
        tokens, state[rows] = _next(model, state[rows], random)
        reply[rows, at], mask[rows, at] = tokens, 1
        if end is not None:
            alive[rows[tokens == end]] = False
    where = torch.stack([row, kept], 1)
    return where, Pairs(said.context[row], said.context_mask[row], reply, mask)


def _next(
    model: RecurrentForCausalLM, state: torch.Tensor, random: torch.Generator, temperature: float = 1.0
) -> tuple[torch.Tensor, torch.Tensor]:
    """The next token of each row, and the states after it."""
    tokens = []
    for part in torch.split(state, _ROWS):
        logits = model.next_logits(part)
        shares = (logits if temperature == 1 else logits / temperature).softmax(-1).cumsum(-1)
        point = torch.rand(len(part), 1, generator=random) * shares[:, -1:]
        tokens.append(torch.searchsorted(shares, point)[:, 0].clamp_(max=shares.shape[1] - 1))
    ids = torch.cat(tokens)
    _, state = model.read(ids, torch.ones(len(ids), dtype=torch.long), state)
    return ids, state
