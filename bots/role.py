"""What one process does. Knows nothing of how it is done."""

from enum import StrEnum


class Role(StrEnum):
    """`listen`: take in what people say. `work`: answer it. `all`: both.

    Processes with different roles meet in the store, and nowhere else.
    """

    all = "all"
    listen = "listen"
    work = "work"

    @property
    def listens(self) -> bool:
        return self is not Role.work

    @property
    def works(self) -> bool:
        return self is not Role.listen
