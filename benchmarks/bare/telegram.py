"""An echo bot on python-telegram-bot."""

import sys
from typing import Any

from telegram import Update  # noqa: TID251
from telegram.ext import Application, MessageHandler, filters  # noqa: TID251

from benchmarks.people import Account


async def echo(update: Update, _context: Any) -> None:
    assert update.message is not None
    await update.message.reply_text(f"You said: {update.message.text}")


def main(account: Account) -> None:
    builder = Application.builder().token(account.token).base_url(f"{account.api_base}/bot")
    application = builder.concurrent_updates(True).build()
    application.add_handler(MessageHandler(filters.TEXT, echo))
    application.run_polling()


if __name__ == "__main__":
    main(Account.read(sys.argv[1]))
