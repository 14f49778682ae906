"""The sentences that are ours and not the model's. Markdown; no platform, no model.

What memory holds never contains one of these: they tell a person what happened, and are not part of the talk.
"""

from collections.abc import Sequence

from core.turns import Event

RESET = "I have forgotten this conversation. We start anew."
PERSONA_SET = "From now on I follow this persona here, for everyone in this place."
PERSONA_DEFAULT = "I am back to my usual persona here."
EMPTY = "I got no words from you. Write me something, and I answer."
NOT_TEXT = "I can only read text so far, not {files}. Please put it in words."

NOT_REMEMBERED = "I do not remember that answer any more."
NOT_THE_NEWEST = "Only my newest answer here can be changed."
NOT_YOURS = "Only who asked can do that."
VOTED = "Thank you, I have noted that."
SET = "That is set, for everyone in this place."
NO_SETTING = "There is no such setting, or it cannot be that."


def in_line(place: int, seconds: float | None) -> str:
    """What somebody is told who waits for the model, number `place` in its line."""
    if seconds is None:
        return f"_You are number {place} in line._"
    if seconds < 90:
        return f"_You are number {place} in line: about {max(10, 10 * round(seconds / 10))} seconds._"
    return f"_You are number {place} in line: about {round(seconds / 60)} minutes._"


NOTHING = "_The model had nothing to say to this._"

STOPPED = "_Stopped._"
SHUTDOWN = "_I am being restarted and had to stop here. Ask me again in a moment._"
LENGTH = "_(This answer reached its length limit.)_"
TIME = "_(This answer took too long and ends here.)_"

_FILES = {"image": "images", "voice": "voice messages", "audio": "audio", "video": "videos", "file": "files"}


def help_text(name: str, commands: str) -> str:
    """What /help answers. `commands` says how commands are written in the room: an adapter's own lines."""
    return (
        f"I am **{name}**. In a direct message I answer everything; in a group or channel I answer when you "
        "mention me, reply to me, or write in a thread that I am part of. I remember each conversation by "
        "itself.\n\n" + (commands.strip() or COMMANDS)
    )


COMMANDS = """\
- `/help` shows this
- `/reset` makes me forget this conversation
- `/persona` followed by a text tells me who to be in this place; alone it brings back my usual self
- `/stop` ends the answer that I am writing"""


def start_text(name: str) -> str:
    return f"Hello! I am **{name}**. Write me something, and I answer. `/help` tells what else I can do."


def unreadable(event: Event) -> str:
    """What to say to a message without any text."""
    if not event.files:
        return EMPTY
    kinds = sorted({_FILES.get(kind, "files") for kind in event.files})
    return NOT_TEXT.format(files=" or ".join(kinds))


def left_out(lines: Sequence[str]) -> str:
    """What of the files that came was not read, and why."""
    return "\n".join(f"_{line}._" for line in lines)


def under(text: str, notice: str) -> str:
    """`notice` as a paragraph of its own under what was written so far."""
    return f"{text.rstrip()}\n\n{notice}" if text.strip() else notice
