"""An echo bot on slack-bolt, over Socket Mode."""

import asyncio
import sys
from collections.abc import Mapping
from typing import Any

from slack_bolt.adapter.socket_mode.aiohttp import AsyncSocketModeHandler  # noqa: TID251
from slack_bolt.async_app import AsyncApp, AsyncSay  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from benchmarks.people import Account


async def echo(message: Mapping[str, Any], say: AsyncSay) -> None:
    await say(f"You said: {message['text']}")


async def main(account: Account) -> None:
    app = AsyncApp(client=AsyncWebClient(account.token, account.api_base))
    app.event("message")(echo)
    way = AsyncWebClient(base_url=account.api_base)
    await AsyncSocketModeHandler(app, account.app_token, web_client=way).start_async()  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    asyncio.run(main(Account.read(sys.argv[1])))
