"""Persona, summary and window into a token budget. Pure: counting is passed in.

The order is what keeps the prompt's beginning the same from turn to turn, so that a cache of its prefix holds:
persona and summary first, then the window, then the new message, and what changes by itself (the time) last.
For the same reason the window's start does not creep. It stays where it is until the budget is passed; then it
jumps, so far that about 60 % of the budget is used, and the next jump is many turns away. Only then the summary
changes, to one that was written before: the window begins where that ends, unless too much was said since. Where
none was, the turns that are jumped over are in no prompt until one is.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

from core.engine.engine import NOBODY, Call, Caller, Message, Picture
from core.errors import PromptTooLong
from core.files.forms import label
from core.summary import AFTER_A_JUMP, NO_SUMMARIES, Count, Summaries
from core.turns import Called, Document, Quote, Turn

_WITHOUT_A_GAP = 0.75  # of the budget: the most that a prompt takes after a jump, so that no turn is left out
_LONGEST_QUOTE = 2000  # characters of one message that is referred to
_SILENCE = "…"  # an answer stopped before its first word: chat templates demand that roles take turns


@dataclass(frozen=True, slots=True)
class Prompt:
    """What an engine is asked. `start` is the number of the first turn in it: where the window starts now, and
    `None` when there is no earlier turn in it. `tokens` is its exact length by the engine's own count, and
    `caller` is whom the answer is for. `jumped`: the newest summary is shown from this prompt on."""

    messages: tuple[Message, ...]
    start: int | None
    tokens: int
    caller: Caller = NOBODY
    jumped: bool = False


def build(
    window: Sequence[Turn],
    text: str,
    *,
    preface: str = "",
    pictures: tuple[Picture, ...] = (),
    persona: str,
    summaries: Summaries = NO_SUMMARIES,
    now: str = "",
    count: Count,
    budget: int,
    tools: bool = False,
) -> Prompt:
    """The prompt for `text`, with `preface` before it and `pictures`, after the turns of `window`, at most
    `budget` tokens by `count`.

    It has what came of tools only where the engine has `tools`. A summary for which there is no room beside `text`
    is left out. Raises `PromptTooLong` when `text` does not fit even alone.
    """
    asked = Message("user", f"{text}\n\n({now})" if now else text, preface=preface, pictures=pictures)
    shown, newest = summaries.shown, summaries.newest
    window = [turn for turn in window if turn.number > shown.upto]

    def attempt(first: int, summary: str, *, jumped: bool = False) -> Prompt:
        messages = _messages(window[first:], asked, persona=persona, summary=summary, tools=tools)
        start = window[first].number if first < len(window) else None
        return Prompt(messages, start, count(messages), jumped=jumped)

    starts = _starts(window)
    whole = attempt(starts[0], shown.text)
    if whole.tokens <= budget:
        return whole
    starts = [first for first in starts if first == len(window) or window[first].number > newest.upto]
    jump = partial(attempt, summary=newest.text, jumped=newest is not shown)
    bare = jump(len(window))
    if bare.tokens > budget:
        jump = partial(attempt, summary="")
        bare = jump(len(window))
    elif newest is not shown and (next_ := jump(starts[0])).tokens <= budget * _WITHOUT_A_GAP:
        return next_
    if bare.tokens > budget:
        raise PromptTooLong(f"the message takes {bare.tokens} tokens, and {budget} fit")
    return _jump(jump, starts, max(int(budget * AFTER_A_JUMP), bare.tokens))


def _jump(attempt: Callable[[int], Prompt], starts: Sequence[int], target: int) -> Prompt:
    """The longest window that fits into `target`, found by bisection: a later start is never longer."""
    low, high = 0, len(starts) - 1
    while low < high:
        middle = (low + high) // 2
        if attempt(starts[middle]).tokens <= target:
            high = middle
        else:
            low = middle + 1
    return attempt(starts[low])


def _starts(window: Sequence[Turn]) -> list[int]:
    """Where a window may start: at a person's turn, or after all of them."""
    return [i for i, turn in enumerate(window) if turn.role == "user"] + [len(window)]


def _messages(
    window: Sequence[Turn], asked: Message, *, persona: str, summary: str, tools: bool
) -> tuple[Message, ...]:
    head = "\n\n".join(filter(None, (persona, summary and f"Earlier in this conversation: {summary}")))
    system = (Message("system", head),) if head else ()
    told = (message for turn in window for message in (*(called(turn.calls) if tools else ()), _message(turn)))
    return (*system, *told, asked)


def called(calls: Sequence[Called], text: str = "") -> tuple[Message, ...]:
    """What a model is told of the tools that it has called, after it had said `text`."""
    if not calls:
        return ()
    made = [Call(f"call_{number}", each.name, each.arguments) for number, each in enumerate(calls)]
    results = (Message("tool", each.result, call=call.id) for each, call in zip(calls, made, strict=True))
    return (Message("assistant", text, calls=tuple(made)), *results)


def _message(turn: Turn) -> Message:
    return Message(turn.role, turn.text or _SILENCE, turn.token_ids, turn.tokenizer, preface(turn))


def preface(turn: Turn) -> str:
    """What stands before a person's words: what they refer to, the files with them, and where several people talk,
    who they are. It is the same in each prompt."""
    lines = [f"> {line}" for quote in turn.quotes for line in _quoted(quote).splitlines()]
    quoted = "\n".join(lines) + "\n\n" if lines else ""
    files = "".join(f"Picture {label(each.name)}\n\n" for each in turn.pictures)
    files += "".join(map(_shown, turn.documents))
    name = turn.speaker.name if turn.shared and turn.speaker is not None else ""
    return quoted + files + (f"{name}: " if name else "")


def _shown(document: Document) -> str:
    """A file between marks that it has not in itself."""
    runs = re.findall("`{3,}", document.text)
    fence = "`" * max(3, *(len(run) + 1 for run in runs), 3)
    return f"File {document.name}:\n{fence}\n{document.text}\n{fence}\n\n"


def _quoted(quote: Quote) -> str:
    text = quote.text if len(quote.text) <= _LONGEST_QUOTE else f"{quote.text[:_LONGEST_QUOTE]}…"
    return f"{quote.speaker.name}: {text}" if quote.speaker.name else text
