"""The two players and their moves: one step of likelihood, of telling apart, of policy. Knows no files.

The discriminator is the critic of each token (compare MaskGAN: Fedus et al., 2018, which needs no roll-outs for
it). The generator writes replies of its own, and its gradient at each place of one is that of the evidence for a
human which it expects of its next token: over the whole vocabulary, not the token that was drawn alone, so that
chance adds little to it (expected policy gradients: Ciosek and Whiteson, 2018). What a token does to the evidence
of later ones is left out. Beside each policy gradient goes a share of the likelihood of human replies, teacher
forcing, without which a generator soon says few things only (Li et al., 2017).
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch.nn.functional import binary_cross_entropy, cross_entropy

from core.engine.discriminator import GENERATED, HUMAN, Discriminator
from core.engine.recurrent import RecurrentForCausalLM
from core.training.adversarial.pairs import Pairs
from core.training.adversarial.sampling import draw

_NO_LOSS = -100  # transformers' own mark
_SCORED = 1024  # pairs that are judged at once
_STEEPEST = 5.0  # the norm of a gradient


@dataclass(frozen=True, slots=True, kw_only=True)
class GameSettings:
    """A step is of `batch` pairs. `teacher_forcing` is the weight of the likelihood beside a policy gradient.
    `end` is the token that ends a reply; `None`: each is as long as can be."""

    batch: int = 64
    learning_rate: float = 2e-3
    policy_rate: float = 5e-4
    discriminator_rate: float = 2e-3
    teacher_forcing: float = 1.0
    end: int | None = None


class Game:
    """A generator and a discriminator over `pairs`, on the CPU or where the models are. Each move is repeatable:
    it draws from `random` alone."""

    def __init__(
        self,
        generator: RecurrentForCausalLM,
        discriminator: Discriminator,
        pairs: Pairs,
        settings: GameSettings,
        *,
        seed: int,
    ) -> None:
        self.generator = generator
        self.discriminator = discriminator
        self._pairs = pairs
        self._settings = settings
        self.random = torch.Generator().manual_seed(seed)
        self._likelihood = torch.optim.AdamW(generator.parameters(), settings.learning_rate, weight_decay=0.01)
        self._policy = torch.optim.Adam(generator.parameters(), settings.policy_rate)
        self._telling = torch.optim.AdamW(
            discriminator.parameters(), settings.discriminator_rate, weight_decay=0.01
        )
        self._order = torch.empty(0, dtype=torch.long)

    def learn(self, scale: float = 1.0) -> float:
        """One step towards what people say; `scale` is the learning rate's. Returns the loss before it, in nats a
        token."""
        for group in self._likelihood.param_groups:
            group["lr"] = self._settings.learning_rate * scale
        loss = self._forced(self._batch())
        self._step(self._likelihood, self.generator, loss)
        return loss.item()

    def tell(self) -> float:
        """One step of the discriminator. Returns how many of the batch it had told before it, of 1."""
        human = self._batch()
        generated = self._draw(human)
        self.discriminator.train()
        logits = torch.cat([_logits(self.discriminator, human), _logits(self.discriminator, generated)])
        labels = torch.tensor([HUMAN] * len(human) + [GENERATED] * len(generated))
        loss = cross_entropy(logits, labels)
        self._step(self._telling, self.discriminator, loss)
        return float((logits.argmax(1) == labels).float().mean())

    def play(self) -> float:
        """One step of the generator against the discriminator. Returns the mean evidence for a human that it
        expected of a token, as the logarithm of the odds."""
        human = self._batch()
        said = self._draw(human)
        ids, mask = _before(said)
        room = said.reply.shape[1]
        self.discriminator.train(False)
        with torch.no_grad():
            evidence = self.discriminator.evidence(ids, mask, room)
        policy = self.generator(ids, mask, use_cache=False, logits_to_keep=room).logits.softmax(-1)
        expected = ((policy * evidence).sum(-1) * said.reply_mask).sum() / said.reply_mask.sum()
        loss = -expected
        if self._settings.teacher_forcing:
            loss = loss + self._settings.teacher_forcing * self._forced(human)
        self._step(self._policy, self.generator, loss)
        return float(expected.detach())

    def chance(self, pairs: Pairs) -> torch.Tensor:
        """How likely each reply is human, by the discriminator."""
        return chance(self.discriminator, pairs)

    def state(self) -> dict[str, Any]:
        """All that the next move depends on, but the models' own weights."""
        return {
            "random": self.random.get_state(),
            "order": self._order,
            "likelihood": self._likelihood.state_dict(),
            "policy": self._policy.state_dict(),
            "telling": self._telling.state_dict(),
        }

    def load_state(self, state: Mapping[str, Any]) -> None:
        self.random.set_state(state["random"])
        self._order = state["order"]
        self._likelihood.load_state_dict(state["likelihood"])
        self._policy.load_state_dict(state["policy"])
        self._telling.load_state_dict(state["telling"])

    def _batch(self) -> Pairs:
        """Each pair once before any comes again."""
        size = min(self._settings.batch, len(self._pairs))
        if len(self._order) < size:
            self._order = torch.randperm(len(self._pairs), generator=self.random)
        rows, self._order = self._order[:size], self._order[size:]
        return self._pairs[rows]

    def _draw(self, contexts: Pairs) -> Pairs:
        self.generator.train(False)
        return draw(self.generator, contexts, self.random, end=self._settings.end)

    def _forced(self, human: Pairs) -> torch.Tensor:
        self.generator.train()
        return _losses(self.generator, human).sum() / human.reply_mask.sum()

    def _step(self, optimizer: torch.optim.Optimizer, model: torch.nn.Module, loss: torch.Tensor) -> None:
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(model.parameters(), _STEEPEST)
        optimizer.step()


@torch.no_grad()
def loss_of(model: RecurrentForCausalLM, pairs: Pairs) -> float:
    """In nats a token of the replies."""
    model.train(False)
    total = sum(float(_losses(model, batch).sum()) for batch in pairs.batches(_SCORED // 4))
    return total / int(pairs.reply_mask.sum())


@torch.no_grad()
def chance(model: Discriminator, pairs: Pairs) -> torch.Tensor:
    """How likely each reply is human, `[pair]`."""
    model.train(False)
    scores = [_logits(model, batch).softmax(1)[:, HUMAN] for batch in pairs.batches(_SCORED)]
    return torch.cat(scores) if scores else torch.empty(0)


def accuracy(human: torch.Tensor, generated: torch.Tensor) -> float:
    """The share that is told right of both, each kind counting half, by how likely each is thought to be human."""
    return float(((human > 0.5).float().mean() + (generated <= 0.5).float().mean()) / 2)


def telling_loss(human: torch.Tensor, generated: torch.Tensor) -> float:
    """The cross entropy of the same, in nats; `log 2` is guessing."""
    of_human = binary_cross_entropy(human, torch.ones_like(human))
    of_generated = binary_cross_entropy(generated, torch.zeros_like(generated))
    return float((of_human + of_generated) / 2)


def _logits(model: Discriminator, pairs: Pairs) -> torch.Tensor:
    kinds = torch.cat([torch.zeros_like(pairs.context), torch.ones_like(pairs.reply)], 1)
    ids = torch.cat([pairs.context, pairs.reply], 1)
    mask = torch.cat([pairs.context_mask, pairs.reply_mask], 1)
    logits: torch.Tensor = model(input_ids=ids, attention_mask=mask, token_type_ids=kinds).logits
    return logits


def _losses(model: RecurrentForCausalLM, pairs: Pairs) -> torch.Tensor:
    """The negative logarithm of each reply token's probability, and 0 where there is none. `[pair, token]`."""
    logits = model(*_before(pairs), use_cache=False, logits_to_keep=pairs.reply.shape[1]).logits
    targets = pairs.reply.masked_fill(pairs.reply_mask == 0, _NO_LOSS)
    losses = cross_entropy(logits.flatten(0, 1), targets.flatten(), ignore_index=_NO_LOSS, reduction="none")
    return losses.view_as(targets)


def _before(pairs: Pairs) -> tuple[torch.Tensor, torch.Tensor]:
    """The tokens behind which those of the reply stand, and their mask: its last token is read by nobody."""
    ids = torch.cat([pairs.context, pairs.reply[:, :-1]], 1)
    return ids, torch.cat([pairs.context_mask, pairs.reply_mask[:, :-1]], 1)
