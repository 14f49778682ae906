"""A conversation that is ours for a while, as a worker holds it in its hands. Knows no way to change it."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from core.collecting import together
from core.store.keys import parse_conversation
from core.store.records import Records, ShowingRecord, Unreadable
from core.store.streams import Entry
from core.summary import Summaries
from core.turns import Conversation, Event, Part, Turn

Phase = Literal["answering", "delivering"]


@dataclass(slots=True, eq=False)
class Claim:
    """A conversation that is ours, with all that is needed to answer its next event.

    `event` is the mailbox's head and has `number` in its conversation, or what so many events from it on as are
    `taken` come to, where they are answered together; while `delivering` it is the event that was answered, and
    `text` is the final text to deliver. `parts` is what was recorded of the reply so far. `window` holds the turns
    from the stored window start on, and `last` is the number of the conversation's last turn. `swaps` is how often
    something of it had been forgotten. `model` is the one that the place has chosen. `tries` counts how often the
    event was claimed in this phase, this time included. `deadline` is the event loop's time when the lease ends,
    counted from before it was asked for.

    The steps of `Claims` keep all of it up to date.
    """

    conversation: Conversation
    token: str
    fence: int
    phase: Phase
    event: Event
    number: int
    taken: int
    parts: list[Part]
    window: list[Turn]
    last: int
    swaps: int
    model: str
    persona: str | None = field(repr=False)
    summaries: Summaries
    text: str = field(repr=False)
    stopped: bool
    tries: int
    deadline: float
    lost: bool
    entry: Entry


def conversation_of(entry: Entry) -> Conversation:
    """The conversation that a ready entry is for."""
    return parse_conversation(entry.fields[b"c"].decode())


def read_claim(records: Records, entry: Entry, token: str, answer: Sequence[Any], deadline: float) -> Claim:
    """What the claim script answered. Raises `Unreadable` when its event is, or what was shown or is to be."""
    conversation = conversation_of(entry)
    fence, phase, number, event, text, window, last, persona, summary, stopped, tries, parts, *batch = answer
    others, every_message, language, model, swaps = batch
    events = together(records.decode(Event, event), _readable(records, others), every_message=bool(every_message))
    found = replace(events.event, locale=language.decode()) if language else events.event
    return Claim(
        conversation=conversation,
        token=token,
        fence=fence,
        phase="delivering" if phase == b"delivering" else "answering",
        event=found,
        number=number,
        taken=events.count,
        parts=[records.decode(ShowingRecord, record).as_part(message) for record, message in parts],
        window=records.turns(window, conversation),
        last=last,
        swaps=swaps,
        model=model.decode() if model else "",
        persona=records.text_if_readable(persona, conversation),
        summaries=records.summaries(summary, conversation),
        text=records.decode_text(text) if text else "",
        stopped=bool(stopped),
        tries=tries,
        deadline=deadline,
        lost=False,
        entry=entry,
    )


def _readable(records: Records, events: Iterable[bytes]) -> Iterator[Event]:
    """The events before the first that cannot be read."""
    for event in events:
        try:
            yield records.decode(Event, event)
        except Unreadable:
            return
