"""A look before the model: it never sees an e-mail address, and memory never has one."""

import re

from core.extension import Extension
from core.turns import Event

extension = Extension()


@extension.before
async def without_addresses(event: Event, text: str) -> str:
    return re.sub(r"\S+@\S+\.\w+", "(an address)", text)
