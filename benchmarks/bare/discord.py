"""An echo bot on discord.py."""

import logging
import sys

import discord  # noqa: TID251

from adapters.discord.settings import DiscordSettings
from benchmarks.people import Account

client = discord.Client(intents=discord.Intents(guilds=True, messages=True, message_content=True))


@client.event
async def on_message(message: discord.Message) -> None:
    if message.author != client.user:
        await message.channel.send(f"You said: {message.content}")


def main(account: Account) -> None:
    settings = DiscordSettings(token=account.token, api_base=account.api_base, gateway_url=account.gateway_url)
    settings.direct_rest()
    settings.direct_gateway(account.gateway_url)
    client.run(account.token, log_level=logging.WARNING)


if __name__ == "__main__":
    main(Account.read(sys.argv[1]))
