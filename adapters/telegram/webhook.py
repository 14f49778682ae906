"""Updates that Telegram pushes. Knows no store: `Intake.take` says when an update is ours.

Telegram takes any answer but 2xx as a failure and pushes the update again, less and less often, and keeps the
order within a chat: https://core.telegram.org/bots/api#setwebhook
"""

import asyncio
import hmac
import logging
from collections.abc import Callable

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from telegram import WebhookInfo  # noqa: TID251
from telegram.error import TelegramError  # noqa: TID251

from adapters.telegram.client import Client
from adapters.telegram.intake import ALLOWED_UPDATES, Intake
from adapters.telegram.settings import TelegramSettings
from adapters.wire import Wire
from core.errors import StoreUnavailable

log = logging.getLogger(__name__)

_SECRET_HEADER = "x-telegram-bot-api-secret-token"  # noqa: S105 - the header's name
_LOOK_EVERY = 300.0


class _Update(msgspec.Struct):
    update_id: int


def route(settings: TelegramSettings, intake: Callable[[], Intake | None]) -> Route:
    """Where Telegram pushes to. `intake` gives None while nobody listens: Telegram then tries again later."""
    secret = settings.secret.encode()

    async def receive(request: Request) -> Response:
        given = request.headers.get(_SECRET_HEADER, "").encode("latin-1", "replace")
        if not hmac.compare_digest(given, secret):
            return Response(status_code=403)
        body = await request.body()  # the server bounds it
        try:
            msgspec.json.decode(body, type=_Update)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return Response(status_code=400)
        if (taker := intake()) is None:
            return Response(status_code=503)
        try:
            await taker.take([msgspec.json.decode(body)])
        except StoreUnavailable as exc:
            log.warning("the store is away, Telegram will push again: %s", exc)
            return Response(status_code=503)
        return Response(status_code=200)

    return Route(settings.webhook_path, receive, methods=["POST"])


async def push(client: Client, settings: TelegramSettings) -> None:
    """Have Telegram push to us. Raises `TelegramError`."""
    await client.set_webhook(settings.url, allowed_updates=list(ALLOWED_UPDATES), secret_token=settings.secret)


async def watch(client: Client, wire: Wire) -> None:
    """Say in the log when Telegram cannot reach us, and in `wire` whether we reach it; until cancelled."""
    told = None
    while True:
        try:
            info = await client.get_webhook_info()
        except TelegramError as exc:
            wire.connected = False
            log.warning("no connection to Telegram: %s", exc.message)
        else:
            wire.connected = True
            if info.last_error_date is not None and info.last_error_date != told:
                told = info.last_error_date
                log.warning("Telegram could not push: %s", trouble(info))
        await asyncio.sleep(_LOOK_EVERY)


def trouble(info: WebhookInfo) -> str:
    return f"{info.last_error_message} ({info.pending_update_count} updates wait)"
