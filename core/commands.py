"""What a person can ask for by name. Each adapter makes of it what its platform has: commands, a menu, words.

Knows no platform, and not what is done: that is the event's `Kind`.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from core.languages import msgid
from core.turns import Kind


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is what is typed. `about` says what it does, and `argument` what the text after it means (empty: it
    takes none); both are marked sentences of at most 100 characters in each language, which is Discord's limit:
    https://discord.com/developers/docs/interactions/application-commands#application-command-object"""

    name: str
    kind: Kind
    about: str
    argument: str = ""


COMMANDS = (
    Command("help", "help", msgid("What I can do")),
    Command("reset", "reset", msgid("Forget this conversation")),
    Command(
        "persona",
        "persona",
        msgid("Tell me who to be here; without a text: my usual self"),
        argument=msgid("Who I am to be in this place"),
    ),
    Command("stop", "stop", msgid("End the answer that I am writing")),
)

NAMED: Mapping[str, Kind] = {command.name: command.kind for command in COMMANDS}
"""What each command is, by its name."""
