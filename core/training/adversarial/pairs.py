"""Contexts and the replies to them, as tensors. Knows no model."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import torch

from core.engine.chat_tokenizer import ChatTokenizer
from core.engine.engine import Message
from core.engine.judge import pair
from core.training.corpora.dialogue import Dialogue


@dataclass(frozen=True, slots=True)
class Pairs:
    """`context` is `[pair, token]` with its padding in front, `reply` with it behind. The masks are 1 where there
    is a token. Each context has one at least, and so has each reply."""

    context: torch.Tensor
    context_mask: torch.Tensor
    reply: torch.Tensor
    reply_mask: torch.Tensor

    @classmethod
    def of(cls, pairs: Sequence[tuple[Sequence[int], Sequence[int]]], padding: int, reply_size: int) -> "Pairs":
        longest = max((len(context) for context, _ in pairs), default=1)
        context = torch.full((len(pairs), longest), padding)
        reply = torch.full((len(pairs), reply_size), padding)
        context_mask, reply_mask = torch.zeros_like(context), torch.zeros_like(reply)
        for row, (before, said) in enumerate(pairs):
            context[row, longest - len(before) :] = torch.tensor(before)
            context_mask[row, longest - len(before) :] = 1
            reply[row, : len(said)] = torch.tensor(said)
            reply_mask[row, : len(said)] = 1
        return cls(context, context_mask, reply, reply_mask)

    def __len__(self) -> int:
        return len(self.context)

    def __getitem__(self, rows: torch.Tensor | slice) -> "Pairs":
        return Pairs(self.context[rows], self.context_mask[rows], self.reply[rows], self.reply_mask[rows])

    def batches(self, size: int) -> Iterator["Pairs"]:
        for start in range(0, len(self), size):
            yield self[slice(start, start + size)]

    def with_replies(self, reply: torch.Tensor, mask: torch.Tensor) -> "Pairs":
        """Other replies to the same contexts."""
        return Pairs(self.context, self.context_mask, reply, mask)


def from_dialogues(
    dialogues: Iterable[Dialogue], chat: ChatTokenizer, *, end: int, padding: int, context: int, reply: int
) -> Pairs:
    """Each answer of the assistant to the last `context` tokens of its prompt, and the first answer of each
    dialogue once more to nothing: `end` is the token that ends a reply."""
    nothing = chat.encode((Message("assistant", ""),))
    found = []
    for dialogue in dialogues:
        ids, answers = chat.transcript(dialogue.messages)
        pairs = [pair(ids, answer, end, context_size=context, reply_size=reply) for answer in answers]
        found += [(before or nothing, said) for before, said in pairs]
        found += [(nothing, said) for _, said in pairs[:1]]
    return Pairs.of(found, padding, reply)
