"""A question as an engine is asked it: its prompt, and what is left out of that where it would not fit."""

from dataclasses import replace

from core.dialogue import Dialogue
from core.engine.engine import Picture
from core.errors import PromptTooLong
from core.prompt import Prompt, preface
from core.question import Question
from core.store.claim import Claim

# What an engine that cannot go on with an answer is asked instead.
_GO_ON = "Go on exactly where you stopped, without repeating anything."


def fitting(
    dialogue: Dialogue,
    claim: Claim,
    asks: Question,
    pictures: tuple[Picture, ...] = (),
    within: int | None = None,
) -> tuple[Question, Prompt]:
    """The question of `claim` with its prompt and its `pictures`, in at most `within` tokens where that is given:
    rather without what the message brings along than not at all. Raises `PromptTooLong`."""
    try:
        return asks, _prompt(dialogue, claim, asks, pictures, within)
    except PromptTooLong:
        asks = replace(asks, asked=replace(asks.asked, quotes=(), documents=(), pictures=()))
        return asks, _prompt(dialogue, claim, asks, (), within)


def _prompt(
    dialogue: Dialogue, claim: Claim, asks: Question, pictures: tuple[Picture, ...], within: int | None
) -> Prompt:
    text, window, before = asks.asked.text, asks.window, preface(asks.asked)
    if asks.before is not None and asks.so_far and not dialogue.continues:
        text, window, before, pictures = _GO_ON, [*window, asks.asked, asks.before], "", ()
    return dialogue.prompt(
        claim.event,
        window,
        persona=claim.persona,
        text=text,
        preface=before,
        pictures=pictures,
        summaries=claim.summaries.before(asks.asked.number),
        within=within,
    )
