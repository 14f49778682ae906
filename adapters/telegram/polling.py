"""Updates by long polling. Knows no store: `Intake.take` says when a batch is ours.

Telegram gives the updates after `offset` again and again until a higher one is asked for. So the offset is the
acknowledgement, and moves only when the whole batch is on disk. It is kept nowhere: Telegram knows it.
"""

import asyncio
import logging

from telegram.error import Conflict, InvalidToken, TelegramError  # noqa: TID251

from adapters.telegram.channel import translated
from adapters.telegram.client import Client, FloodControl
from adapters.telegram.intake import ALLOWED_UPDATES, Intake
from adapters.telegram.waiting import Waits
from adapters.wire import Wire
from core.errors import StoreUnavailable

log = logging.getLogger(__name__)

_WAIT_FOR_UPDATES = 30  # seconds; the server's own bound is 50
# A server that answers at once with nothing would make a busy loop of this one.
_LEAST_ROUND = 0.5


async def poll(client: Client, intake: Intake, waits: Waits, wire: Wire) -> None:
    """Until cancelled. `wire` is told whether Telegram gives us updates; after a failure it is asked for an answer
    at once. Raises `Refused` when the token is not accepted any more."""
    loop = asyncio.get_running_loop()
    offset: int | None = None
    while True:
        began = loop.time()
        try:
            patience = _WAIT_FOR_UPDATES if wire.connected else 0
            batch = await client.updates(offset, timeout=patience, allowed=ALLOWED_UPDATES)
            wire.connected = True
            await intake.take(batch)
        except StoreUnavailable as exc:
            log.warning("the store is away, Telegram keeps the messages: %s", exc)
            await waits.next()
        except Conflict as exc:
            wire.connected = False
            log.warning(
                "another process receives this bot's messages (%s). Stop it, or leave this one standing by.",
                exc.message,
            )
            await waits.next()
        except InvalidToken as exc:
            raise translated(exc) from None
        except FloodControl as exc:
            log.warning("Telegram asks for a pause of %g s", exc.after)
            await asyncio.sleep(exc.after)
        except TelegramError as exc:
            wire.connected = False
            log.warning("no connection to Telegram: %s", exc.message)
            await waits.next()
        else:
            waits.reset()
            # Once asked for, the next offset has done its work. Without one the numbers may begin anew, as they do
            # after a week of silence.
            offset = max(update["update_id"] for update in batch) + 1 if batch else None
            if not batch and loop.time() - began < _LEAST_ROUND:
                await asyncio.sleep(_LEAST_ROUND)
