"""A look before and after the model: nothing longer than a note is asked, and no answer is twice as long."""

from core.extension import Declined, Extension
from core.turns import Event

extension = Extension()


@extension.before
async def brief(event: Event, text: str) -> str:
    if len(text) > 280:
        raise Declined("In 280 characters, please.")
    return text


@extension.after
async def briefly(event: Event, text: str) -> str:
    return text if len(text) <= 560 else f"{text[:559]}…"
