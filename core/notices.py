"""The sentences that are ours and not the model's. Markdown; no platform, no model.

What memory holds never contains one of these: they tell a person what happened, and are not part of the talk.
"""

from collections.abc import Sequence

from core.languages import any_of, msgid, translated
from core.turns import Event

RESET = msgid("I have forgotten this conversation. We start anew.")
PERSONA_SET = msgid("From now on I follow this persona here, for everyone in this place.")
PERSONA_DEFAULT = msgid("I am back to my usual persona here.")
EMPTY = msgid("I got no words from you. Write me something, and I answer.")
NOT_TEXT = msgid("I can only read text so far, not {files}. Please put it in words.")

NOT_REMEMBERED = msgid("I do not remember that answer any more.")
NOT_THE_NEWEST = msgid("Only my newest answer here can be changed.")
NOT_YOURS = msgid("Only who asked can do that.")
VOTED = msgid("Thank you, I have noted that.")
SET = msgid("That is set, for everyone in this place.")
NO_SETTING = msgid("There is no such setting, or it cannot be that.")


_IN_LINE = msgid("_You are number {place} in line._")
_IN_LINE_SECONDS = msgid("_You are number {place} in line: about {seconds} seconds._")
_IN_LINE_MINUTES = msgid("_You are number {place} in line: about {minutes} minutes._")


def in_line(place: int, seconds: float | None, locale: str = "") -> str:
    """What somebody is told who waits for the model, number `place` in its line."""
    if seconds is None:
        return translated(_IN_LINE, locale).format(place=place)
    if seconds < 90:
        about = max(10, 10 * round(seconds / 10))
        return translated(_IN_LINE_SECONDS, locale).format(place=place, seconds=about)
    return translated(_IN_LINE_MINUTES, locale).format(place=place, minutes=round(seconds / 60))


NOTHING = msgid("_The model had nothing to say to this._")

STOPPED = msgid("_Stopped._")
SHUTDOWN = msgid("_I am being restarted and had to stop here. Ask me again in a moment._")
LENGTH = msgid("_(This answer reached its length limit.)_")
TIME = msgid("_(This answer took too long and ends here.)_")

_FILES = {
    "image": msgid("images"),
    "voice": msgid("voice messages"),
    "audio": msgid("audio"),
    "video": msgid("videos"),
    "file": msgid("files"),
}

_HELP = msgid(
    "I am **{name}**. In a direct message I answer everything; in a group or channel I answer when you "
    "mention me, reply to me, or write in a thread that I am part of. I remember each conversation by itself."
)
_START = msgid("Hello! I am **{name}**. Write me something, and I answer. `/help` tells what else I can do.")

COMMANDS = msgid("""\
- `/help` shows this
- `/reset` makes me forget this conversation
- `/persona` followed by a text tells me who to be in this place; alone it brings back my usual self
- `/stop` ends the answer that I am writing""")


def help_text(name: str, commands: str, locale: str = "") -> str:
    """What /help answers. `commands` says how commands are written in the room: an adapter's own lines, as
    `msgid` has marked them."""
    return translated(_HELP, locale).format(name=name) + "\n\n" + translated(commands.strip() or COMMANDS, locale)


def start_text(name: str, locale: str = "") -> str:
    return translated(_START, locale).format(name=name)


def unreadable(event: Event) -> str:
    """What to say to a message without any text."""
    if not event.files:
        return translated(EMPTY, event.locale)
    kinds = sorted({translated(_FILES.get(kind, "files"), event.locale) for kind in event.files})
    return translated(NOT_TEXT, event.locale).format(files=any_of(kinds, event.locale))


def left_out(lines: Sequence[str]) -> str:
    """What of the files that came was not read, and why."""
    return "\n".join(f"_{line}._" for line in lines)


def under(text: str, notice: str) -> str:
    """`notice` as a paragraph of its own under what was written so far."""
    return f"{text.rstrip()}\n\n{notice}" if text.strip() else notice
