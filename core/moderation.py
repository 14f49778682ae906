"""What may be said, as a server with OpenAI's moderations API has it, before the model is asked and after it has
answered. Whoever cannot ask it does not answer: what was set to be looked at is not passed on unseen.
"""

import logging
from dataclasses import dataclass, field

import openai
from openai import AsyncOpenAI

from core.errors import EngineError
from core.extension import Declined, Extension
from core.languages import msgid, translated
from core.turns import Event

log = logging.getLogger(__name__)

NOT_ASKED = msgid("I would rather not answer that.")
NOT_ANSWERED = msgid("I had an answer to that which I would rather not give.")


@dataclass(frozen=True, slots=True, kw_only=True)
class ModerationSettings:
    """`url` is the API's root, as a rule ending in /v1. `answers` are looked at too, which nobody sees then before
    they are whole. A look may take `seconds`."""

    url: str
    model: str = "omni-moderation-latest"
    api_key: str = field(default="", repr=False)
    answers: bool = True
    seconds: float = 20.0


def moderation(settings: ModerationSettings) -> Extension:
    """The hooks that ask one server. They raise `Declined`, and `EngineError` when it does not answer."""
    extension = Extension()

    async def flagged(text: str) -> bool:
        try:
            async with AsyncOpenAI(
                base_url=settings.url,
                api_key=settings.api_key or "none",
                timeout=settings.seconds,
                max_retries=1,
            ) as client:
                answer = await client.moderations.create(model=settings.model, input=text)
                return any(result.flagged for result in answer.results)
        except (openai.OpenAIError, AttributeError, TypeError, ValueError) as exc:  # or what it says is none
            raise EngineError(f"the moderation server does not answer: {type(exc).__name__}") from exc

    async def question(event: Event, text: str) -> str:
        if text.strip() and await flagged(text):
            log.info("declined by the moderation server: %s", event.id)
            raise Declined(translated(NOT_ASKED, event.locale))
        return text

    async def answer(event: Event, text: str) -> str:
        if text.strip() and await flagged(text):
            log.info("an answer was declined by the moderation server: %s", event.id)
            raise Declined(translated(NOT_ANSWERED, event.locale))
        return text

    extension.before(question)
    if settings.answers:
        extension.after(answer)
    return extension
