"""What a platform lets a bot do, as adapters declare it: the table in README says it, and the contract tests hold
each adapter to it."""

from enum import StrEnum


class Feature(StrEnum):
    """What people have of it."""

    GROWING = "the answer grows while it is written"
    THINKING = "a sign that the bot is thinking"
    ROOMS = "rooms of several people, where it answers whoever addresses it"
    THREADS = "threads or topics are conversations of their own"
    COMMANDS = "the platform's own commands, with completion"
    BUTTONS = "buttons under answers: stop, regenerate, versions, continue, votes"
    EDITS = "a message that is changed is answered anew"
    DELETIONS = "a message that is deleted is forgotten"
    REPLIES = "what a message replies to is known"
    EARLIER = "what was said in a thread before the bot was called is known"
    ABOUT = "a message's menu asks the bot about it"
    FILES = "files are read: text, and the text of PDFs"
    AS_FILE = "an answer can be a file: the last one on request, long ones by setting"
    LINE = "the place in line is shown"
    MISSED = "what was said while the bot was away is answered"
    ONCE = "a send whose answer was lost is never repeated"
