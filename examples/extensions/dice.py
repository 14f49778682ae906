"""A command: `/dice` throws a die. Name the module in `extensions = ["examples.extensions.dice"]`."""

from random import randint

from core.extension import Extension
from core.turns import Event

extension = Extension()


@extension.command("dice", "Throw a die")
async def dice(event: Event, text: str) -> str:
    return f"{event.speaker.name} has thrown a **{randint(1, 6)}**."
