"""The bot's slash commands, and how Discord learns of them. Knows nothing of what they do."""

import hashlib
import logging
from datetime import timedelta
from typing import Any

import msgspec

from adapters.discord.rest import Rest
from core.turns import Inbox

log = logging.getLogger(__name__)

PERSONA_LIMIT = 2000
"""The longest persona that Discord lets a person type into /persona, in characters."""

_IN_SERVERS = [0]  # integration_types: installed in a server, which also opens direct messages
_EVERYWHERE = [0, 1]  # contexts: in a server, and in a direct message with the bot
_TEXT = 3  # an option that is a string
_REMEMBERED = timedelta(days=30)


def _command(name: str, description: str, **more: Any) -> dict[str, Any]:
    return {
        "name": name,
        "description": description,
        "type": 1,
        "integration_types": _IN_SERVERS,
        "contexts": _EVERYWHERE,
        **more,
    }


COMMANDS = [
    _command("help", "What I can do"),
    _command("reset", "Forget this conversation"),
    _command(
        "persona",
        "Tell me who to be here; without a text: my usual self",
        options=[
            {
                "type": _TEXT,
                "name": "text",
                "description": "Who I am to be in this place",
                "required": False,
                "max_length": PERSONA_LIMIT,
            }
        ],
    ),
    _command("stop", "End the answer that I am writing"),
]
"""As https://discord.com/developers/docs/interactions/application-commands describes them."""


async def register(rest: Rest, inbox: Inbox, application: str) -> None:
    """Have Discord offer `COMMANDS` everywhere, if it does not yet. Asks only when they have changed.

    Raises what `rest` raises, and `StoreUnavailable`.
    """
    digest = hashlib.blake2b(msgspec.json.encode(COMMANDS), digest_size=16).hexdigest().encode()
    key = f"discord/{application}/commands"
    if await inbox.get(key) == digest:
        return
    await rest.call("PUT", "/applications/{application_id}/commands", COMMANDS, application_id=application)
    await inbox.set(key, digest, expires=_REMEMBERED)
    log.info("slash commands are registered for application %s", application)
