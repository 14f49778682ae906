"""The sentences that are ours and not the model's. Markdown; no platform, no model.

What memory holds never contains one of these: they tell a person what happened, and are not part of the talk.
"""

import re
from collections.abc import Iterable, Sequence
from datetime import timedelta

from babel.dates import format_timedelta

from core.commands import lines
from core.languages import any_of, language_of, msgid, translated
from core.turns import Event

RESET = msgid("I have forgotten this conversation. We start anew.")
PERSONA_SET = msgid("From now on I follow this persona here, for everyone in this place.")
PERSONA_DEFAULT = msgid("I am back to my usual persona here.")
EMPTY = msgid("I got no words from you. Write me something, and I answer.")
NOT_TEXT = msgid("I can only read text so far, not {files}. Please put it in words.")

NOT_REMEMBERED = msgid("I do not remember that answer any more.")
NOT_THE_NEWEST = msgid("Only my newest answer here can be changed.")
LEFT_BEHIND = msgid(
    "An earlier message was changed since: the conversation goes on from there, without this answer."
)
NOT_YOURS = msgid("Only who asked can do that.")
VOTED = msgid("Thank you, I have noted that.")
SET = msgid("That is set, for everyone in this place.")
NO_SETTING = msgid("There is no such setting, or it cannot be that.")
NOT_THEIRS_TO_SET = msgid("Only who manages this place can set that.")
UNDONE = msgid("I have taken back your last message and my answer to it.")
NOTHING_TO_UNDO = msgid("There is no last message of yours here that I could take back.")
STATS = msgid("Of this conversation I remember {turns} messages with {tokens} tokens, the first of {since}.")
BRANCH = msgid(
    "_This was said after a message that was changed later. I keep it; the conversation goes on without it:_"
)
FILED = msgid("_My last answer is in the file._")
EXPORTED = msgid("_All that I remember of this conversation is in the file._")
STATS_NOTHING = msgid("Of this conversation I remember nothing.")
CONSENT = msgid(
    "If you agree, what you say to me and my answers to it may be used to train models. Write `yes` or `no` "
    "behind the command; you can change your mind, which holds for whatever is trained from then on."
)
AGREED = msgid("Thank you. Models may learn from what you say to me, until you say otherwise.")
NOT_AGREED = msgid("No model will be trained on what you say to me.")
NOT_LET_IN = msgid("I am not there for you here.")
USED_UP = msgid("You have asked me as much as you may for now. I answer again {when}.")
NO_COMMAND = msgid("I know no such command.")
_LINK_CODE = msgid(
    "`{code}` is a code for another account of yours. Make the command `link` with it there, in a private chat "
    "with me, within ten minutes. Then both accounts are one person for me: our private chats are one "
    "conversation, and so are all rooms in which each person has one of their own. Give the code to nobody else."
)
_LINKED = msgid("This account ({here}) is joined with {accounts}. Write `off` behind the command to undo that.")
_JOINED = msgid(
    "This account ({here}) is now joined with the one of **{name}** ({there}), as one person: our private chats "
    "are one conversation, and so are all rooms in which each person has one of their own. What was said before "
    "stays where it was. If that is not your own account, write `off` behind the command now."
)
LINK_UNKNOWN = msgid("There is no such code, or it is good no more: each is for ten minutes, and for one account.")
LINK_OWN = msgid("That code is from this very account. Use it with another one.")
LINK_OTHER = msgid("This account is joined with another one already. Write `off` behind the command first.")
LINK_OFF = msgid("This account is joined with no other one now. What was said meanwhile stays with the others.")
LINK_PRIVATE = msgid("I join accounts in private chats only: make the command there.")
LINK_NOT_HERE = msgid("There are no accounts here that I could join with others.")
FORGET_LINKED = msgid("The accounts that are joined with this one are included: {accounts}.")
FORGOTTEN_LINKED = msgid(
    "The accounts that were joined with this one are included, and are joined no more: {accounts}."
)
FORGET = msgid(
    "That deletes all that you have ever said to me, in every room, and my answers to it, and cannot be undone. "
    "If you want that, write the word `everything` behind the command."
)
FORGOTTEN = msgid(
    "I have forgotten all that you said to me, in {count} conversations. I have looked through my memory once "
    "more, and there is nothing left of you. What stands in the rooms themselves I cannot take away."
)
NOT_FORGOTTEN = msgid("Something of you is still there: you went on talking meanwhile. Please try again.")


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

_FENCE = re.compile(r"^ {0,3}(`{3,}(?!.*`)|~{3,})(.*)$", re.MULTILINE)  # of code in Markdown

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


def help_text(name: str, before: str = "/", locale: str = "", lacks: str = "") -> str:
    """What /help answers. `before` is what is written before a command's name in the room, and `lacks` a marked
    sentence on what is not to be had there."""
    told = translated(_HELP, locale).format(name=name), lines(before, locale), translated(lacks, locale)
    return "\n\n".join(filter(None, told))


def start_text(name: str, locale: str = "") -> str:
    return translated(_START, locale).format(name=name)


def unreadable(event: Event) -> str:
    """What to say to a message without any text."""
    if not event.files:
        return translated(EMPTY, event.locale)
    kinds = sorted({translated(_FILES.get(kind, "files"), event.locale) for kind in event.files})
    return translated(NOT_TEXT, event.locale).format(files=any_of(kinds, event.locale))


def refused(event: Event) -> str:
    """What to say to whoever was not let in."""
    return used_up(int(event.text), event.locale) if event.text else translated(NOT_LET_IN, event.locale)


def used_up(seconds: int, locale: str = "") -> str:
    """What to say to whoever has used up a limit that ends so soon."""
    wait = format_timedelta(timedelta(seconds=seconds), add_direction=True, locale=language_of(locale))
    return translated(USED_UP, locale).format(when=wait)


def link_code(account: str, joined: Sequence[str], code: str, locale: str = "") -> str:
    """What an account is told that asks for a code; `joined` are those that it is joined with already."""
    offered = translated(_LINK_CODE, locale).format(code=code)
    if not joined:
        return offered
    now = translated(_LINKED, locale).format(here=_platform(account), accounts=platforms(joined))
    return f"{now}\n\n{offered}"


def linked(account: str, other: str, name: str, locale: str = "") -> str:
    """What an account is told that is joined with the `other` one, of whoever is called `name`."""
    here, there = _platform(account), _platform(other)
    return translated(_JOINED, locale).format(here=here, name=name or "?", there=there)


def platforms(accounts: Iterable[str]) -> str:
    """Where these accounts are."""
    return ", ".join(map(_platform, accounts))


def _platform(account: str) -> str:
    return account.partition("/")[0].title()


def left_out(lines: Sequence[str]) -> str:
    """What of the files that came was not read, and why."""
    return "\n".join(f"_{line}._" for line in lines)


def under(text: str, notice: str) -> str:
    """`notice` as a paragraph of its own under what was written so far, and not in code that was not ended."""
    if not text.strip():
        return notice
    fence = ""
    for mark, rest in _FENCE.findall(text):
        if not fence:
            fence = mark
        elif mark.startswith(fence) and not rest.strip():
            fence = ""
    return "\n".join(filter(None, (text.rstrip(), fence))) + f"\n\n{notice}"
