"""What stands under a whole answer. Pure."""

from dataclasses import asdict

from adapters.web.frames import Button, Foot
from core.controls import under
from core.languages import msgid, translated
from core.turns import Cost, Turn

_MADE = msgid("{made:,} tokens")
_SPEED = msgid("{speed:,.0f} a second")
_PROMPT = msgid("prompt of {prompt:,}, {cached:,} from the cache")


def foot(answer: Turn, person: str, locale: str, *, buttons: bool) -> Foot:
    """For `person`, whose vote it shows."""
    every = under(answer, locale) if buttons else ()
    return Foot(
        [Button(control.action, control.label) for control in every],
        vote=dict(answer.votes).get(person, 0),
        cost="" if answer.cost is None else _said(answer.cost, locale),
    )


def _said(cost: Cost, locale: str) -> str:
    parts = (_MADE, _SPEED, _PROMPT) if cost.speed else (_MADE, _PROMPT)
    values = asdict(cost)
    return " · ".join(translated(part, locale).format(**values) for part in parts)
