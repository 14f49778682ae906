"""What a person can ask for by name. Each adapter makes of it what its platform has: commands, a menu, words.

Knows no platform, and not what is done: that is the event's `Kind`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Literal, get_args

from core.languages import LANGUAGES, msgid, translated
from core.scope import Scope
from core.turns import Kind, WhenBusy

NAME = r"[a-z][a-z0-9_]{0,31}"
"""What a command may be called, which is what Discord and Telegram both take:
https://core.telegram.org/bots/api#botcommand"""


@dataclass(frozen=True, slots=True)
class Command:
    """`name` is what is typed. `about` says what it does, and `argument` what the text after it means (empty: it
    takes none); both are marked sentences of at most 100 characters in each language, which is Discord's limit:
    https://discord.com/developers/docs/interactions/application-commands#application-command-object

    `choices` are what that text may be, and nothing else unless it is `free`; at most 25 of them are offered. It
    is for a `conversation`, a `place` or a `person`. `does` is what the event's text begins with. `alone`: it is
    made only where nobody else is.
    """

    name: str
    kind: Kind
    about: str
    argument: str = ""
    choices: tuple[str, ...] = ()
    free: bool = True
    of: Literal["conversation", "place", "person"] = "conversation"
    does: str = ""
    alone: bool = False

    @property
    def for_managers(self) -> bool:
        """Whether in a room of several people only who manages it may make it."""
        return self.kind == "setting"

    @property
    def private(self) -> bool:
        """Whether the answer is for the person alone, where the platform can do that."""
        return self.kind in {"help", "stop", "command"}

    def asked(self, rest: str = "") -> tuple[Kind, str]:
        """Kind and text of the event in which somebody makes it, with `rest` behind it."""
        return self.kind, f"{self.does} {rest if self.argument else ''}".strip()


_COMMANDS = (
    Command("help", "help", msgid("What I can do"), of="person"),
    Command("reset", "reset", msgid("Forget this conversation")),
    Command(
        "persona",
        "persona",
        msgid("Tell me who to be here; without a text: my usual self"),
        argument=msgid("Who I am to be in this place"),
        of="place",
    ),
    Command("stop", "stop", msgid("End the answer that I am writing")),
    Command("retry", "act", msgid("Answer the last message anew"), does="regenerate"),
    Command("undo", "undo", msgid("Take back the last message and my answer to it")),
    Command("file", "command", msgid("My last answer as a file"), does="file"),
    Command("stats", "command", msgid("What I remember of this conversation, in numbers"), does="stats"),
    Command("export", "command", msgid("All that I remember of this conversation, word by word"), does="export"),
    Command(
        "language",
        "setting",
        msgid("The language of my own sentences here; without one: each person's own"),
        argument=msgid("One of my languages"),
        choices=LANGUAGES,
        free=False,
        of="place",
        does="language",
    ),
    Command(
        "quiet",
        "setting",
        msgid("In threads answer only who calls me: on or off"),
        argument=msgid("on or off"),
        choices=("on", "off"),
        free=False,
        of="place",
        does="quiet",
    ),
    Command(
        "busy",
        "setting",
        msgid("What a message does while I answer another one; without a word: as usual"),
        argument=msgid("queue, interrupt or collect"),
        choices=get_args(WhenBusy),
        free=False,
        of="place",
        does="when_busy",
    ),
    Command(
        "scope",
        "setting",
        msgid("Who shares what I remember here: each thread, the channel, each person, or the whole server"),
        argument=msgid("thread, channel, person or server; without a word: as usual"),
        choices=get_args(Scope),
        free=False,
        of="place",
        does="scope",
    ),
    Command(
        "consent",
        "command",
        msgid("Whether models may learn from what you say to me: yes or no"),
        argument=msgid("yes or no"),
        choices=("yes", "no"),
        free=False,
        of="person",
        does="consent",
    ),
    Command(
        "link",
        "command",
        msgid("Join this account with yours on another platform, so that I know you there too"),
        argument=msgid("the code that I gave you there, or off; without a word: a code from here"),
        choices=("off",),
        of="person",
        does="link",
        alone=True,
    ),
    Command(
        "forget",
        "command",
        msgid("Forget all that you have said to me anywhere, and my answers to it"),
        argument=msgid("the word “everything”, so that it does not happen by mistake"),
        choices=("everything",),
        free=False,
        of="person",
        does="forget",
    ),
)

MODEL = Command(
    "model",
    "setting",
    msgid("Which model answers here; without a name: the usual one"),
    argument=msgid("The model's name"),
    free=False,
    of="place",
    does="model",
)
"""Offered where there are several, with their names."""

_START = Command("start", "start", "")

# What is offered is one list for the whole process: it is filled at the start, before an adapter is there.
_offered = {command.name: command for command in _COMMANDS}


def commands() -> tuple[Command, ...]:
    """All that are offered, in the order of a menu."""
    return tuple(_offered.values())


def find(name: str) -> Command | None:
    """The command of that name, in any case. "start" is known too, which people never type themselves."""
    return _START if name.lower() == "start" else _offered.get(name.lower())


def lines(before: str, locale: str = "") -> str:
    """A line of Markdown for each of them: how it is written, with `before` in front, and what it does."""
    return "\n".join(
        f"- `{before}{each.name}{' …' if each.argument else ''}`: {translated(each.about, locale)}"
        for each in commands()
    )


def offer(*more: Command) -> None:
    """Offer `more` as well from now on."""
    _offered.update({command.name: command for command in more})


@contextmanager
def offering(*more: Command) -> Iterator[None]:
    """Offer `more` as well while this lasts; what has the name of another one takes its place."""
    before = dict(_offered)
    offer(*more)
    try:
        yield
    finally:
        _offered.clear()
        _offered.update(before)


def suggesting(name: str, choices: tuple[str, ...]) -> Command:
    """The command `name` with what its text may be."""
    return replace(_offered[name], choices=choices)


ABOUT_THIS = msgid("What do you say to this?")
"""What a person asks about a message by choosing the bot in that message's menu."""

_ASK_NAME = msgid("Ask {name} about this")
_ASK = msgid("Ask about this")


def ask_about(name: str, locale: str, *, most: int) -> str:
    """What that is called in the menu, for the bot `name`, in at most `most` characters."""
    sentence = translated(_ASK_NAME, locale).format(name=name)
    return sentence if len(sentence) <= most else translated(_ASK, locale)
