"""Why a file was not read."""


class Unreadable(Exception):
    """The text says why, to whoever sent it, as the end of a sentence."""
