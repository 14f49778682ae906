"""What a person is told who pressed a button. Telegram takes one answer a query, and for some seconds only."""

import logging

from telegram import Bot, CallbackQuery  # noqa: TID251
from telegram.error import TelegramError  # noqa: TID251

log = logging.getLogger(__name__)


async def answer_query(bot: Bot, query: str, text: str = "") -> None:
    """End the sign of waiting on the button, and show `text` to that person alone for a moment.

    A failure harms nobody, and is logged: the button has done what it does.
    """
    try:
        await bot.answer_callback_query(query, text[: CallbackQuery.MAX_ANSWER_TEXT_LENGTH] or None)
    except TelegramError as exc:
        log.debug("a button was not answered: %s", exc.message)
