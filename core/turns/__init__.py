"""The words that cross the seam between the core and the adapters. Standard library only.

An adapter makes an `Event` of what a person did and hands it to the `Inbox`. Later a worker, perhaps in another
process, hands the same event back to the adapter's `deliver` together with a `Reply`. Nothing else crosses.

Everybody imports them from here.
"""

from core.turns.event import ACTIONS, Action, Attachment, Event, Kind, Quote, Sampling, WhenBusy, kind_of
from core.turns.fleet import Fleet
from core.turns.inbox import AroundInbox, Inbox, Shown
from core.turns.library import Listed, News
from core.turns.reply import Control, Draft, Part, Reply, key_of
from core.turns.room import Conversation, Room, Speaker
from core.turns.turn import Called, Cost, Cut, Document, Role, Turn, Version

__all__ = [
    "ACTIONS",
    "Action",
    "AroundInbox",
    "Attachment",
    "Called",
    "Control",
    "Conversation",
    "Cost",
    "Cut",
    "Document",
    "Draft",
    "Event",
    "Fleet",
    "Inbox",
    "Kind",
    "Listed",
    "News",
    "Part",
    "Quote",
    "Reply",
    "Role",
    "Room",
    "Sampling",
    "Shown",
    "Speaker",
    "Turn",
    "Version",
    "WhenBusy",
    "key_of",
    "kind_of",
]
