"""Several messages that are answered together, as if they had been one. Pure."""

from collections.abc import Iterable
from dataclasses import dataclass, replace

from core.turns import Event

MOST_TOGETHER = 20
"""How many messages may be answered together."""


@dataclass(frozen=True, slots=True)
class Together:
    """What `count` events come to."""

    event: Event
    count: int


def together(first: Event, others: Iterable[Event], *, every_message: bool = True) -> Together:
    """`first` with as many of those that follow it as are messages of the same speaker; unless `every_message`,
    only as long as each is a piece of what the next one goes on with."""
    every = [first]
    for event in others:
        if not (_is_message_of(first, first) and _is_message_of(event, first)):
            break
        if not (every_message or every[-1].more_within):
            break
        every.append(event)
    if len(every) == 1:
        return Together(first, 1)
    event = replace(
        first,
        text=_joined(every),
        also=tuple(event.message for event in every[1:]),
        files=tuple(file for event in every for file in event.files),
        attachments=tuple(each for event in every for each in event.attachments),
        quotes=tuple(quote for event in every for quote in event.quotes),
    )
    return Together(event, len(every))


def _joined(events: Iterable[Event]) -> str:
    """Pieces were cut between lines or words, which nobody can tell any more."""
    text, between = "", ""
    for event in events:
        if event.text.strip():
            text += (between if text else "") + event.text
        between = "\n" if event.more_within else "\n\n"
    return text


def _is_message_of(event: Event, first: Event) -> bool:
    if event.kind != "message" or event.alone:
        return False
    return event.speaker.id == first.speaker.id and event.said_in == first.said_in
