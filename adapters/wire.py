"""How an adapter is with its platform: it writes that down, and whoever operates the bot may look."""

from collections import Counter
from dataclasses import dataclass, field
from typing import Literal

Call = Literal["send", "edit", "find", "preview"]

Outcome = Literal["done", "limited", "unavailable", "gone", "refused"]
"""How a call ended: `limited` is a 429, `gone` an edit of a message that is not there any more."""


@dataclass(slots=True)
class Wire:
    """One adapter's. `connected`: what people say reaches it now; it means nothing while nobody listens. `parts`
    are its connections by name, where it has several; it is connected while all are. `calls` are those by which
    replies were shown, since the start."""

    connected: bool = False
    parts: dict[str, bool] = field(default_factory=dict)
    calls: Counter[tuple[Call, Outcome]] = field(default_factory=Counter)

    def part(self, name: str, *, connected: bool) -> None:
        """One of several connections is there, or is not."""
        self.parts[name] = connected
        self.connected = all(self.parts.values())
