"""Several messages that are answered together, as if they had been one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile

from core.turns import Event

MOST_TOGETHER = 20
"""How many messages may be answered together."""


@dataclass(frozen=True, slots=True)
class Together:
    """What `count` events come to."""

    event: Event
    count: int


def together(first: Event, others: Iterable[Event]) -> Together:
    """`first` with as many of those that follow it as are messages of the same speaker."""
    if not _is_message_of(first, first):
        return Together(first, 1)
    more = list(takewhile(lambda event: _is_message_of(event, first), others))
    if not more:
        return Together(first, 1)
    every = [first, *more]
    event = replace(
        first,
        text="\n\n".join(event.text for event in every if event.text.strip()),
        also=tuple(event.message for event in more),
        files=tuple(file for event in every for file in event.files),
        attachments=tuple(each for event in every for each in event.attachments),
        quotes=tuple(quote for event in every for quote in event.quotes),
    )
    return Together(event, len(every))


def _is_message_of(event: Event, first: Event) -> bool:
    return event.kind == "message" and not event.alone and event.speaker.id == first.speaker.id
