"""A bot as they are usually written, beside ours: on the same libraries, with two roles as processes too.

    listen   acknowledge on receipt, as the SDKs do; SET NX whether it was seen before; RPUSH into a list
    work     BLPOP from the list; SET NX PX a lock for the room; answer; give the lock back

Telegram's one poll is held by a lock as well. Calls are tried again as the SDKs' own documentation says, and Redis
by redis-py itself. It is run by `benchmarks.chaos.usual`.
"""

import asyncio
import json
import secrets
import sys
import textwrap
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any

import aiohttp
import discord  # noqa: TID251
import yarl
from redis.asyncio import Redis  # noqa: TID251
from redis.exceptions import RedisError  # noqa: TID251
from slack_sdk.errors import SlackApiError  # noqa: TID251
from slack_sdk.http_retry.builtin_async_handlers import (  # noqa: TID251
    AsyncConnectionErrorRetryHandler,
    AsyncRateLimitErrorRetryHandler,
    AsyncServerErrorRetryHandler,
)
from slack_sdk.socket_mode.aiohttp import SocketModeClient  # noqa: TID251
from slack_sdk.socket_mode.async_client import AsyncBaseSocketModeClient  # noqa: TID251
from slack_sdk.socket_mode.request import SocketModeRequest  # noqa: TID251
from slack_sdk.socket_mode.response import SocketModeResponse  # noqa: TID251
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251
from telegram import Bot, Update  # noqa: TID251
from telegram.error import NetworkError, RetryAfter  # noqa: TID251
from telegram.ext import Application, MessageHandler, filters  # noqa: TID251

_QUEUE = "queue"
_SEEN_SECONDS = 24 * 3600
_LOCK_MS = 30_000
_AT_ONCE = 32
_TRIES = 5
_LIMITS = {"discord": 2000, "telegram": 4096, "slack": 12_000}

Take = Callable[[str, str, str, str], Awaitable[None]]
Send = Callable[[str, str], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Settings:
    redis: str
    discord_token: str
    discord_api: str
    discord_gateway: str
    telegram_token: str
    telegram_api: str
    slack_bot_token: str
    slack_app_token: str
    slack_api: str


async def listen(settings: Settings, redis: Redis) -> None:
    async def take(platform: str, room: str, message: str, text: str) -> None:
        """A message is queued once."""
        if await redis.set(f"seen:{platform}:{room}:{message}", 1, nx=True, ex=_SEEN_SECONDS):
            await redis.rpush(_QUEUE, json.dumps([platform, room, text]))

    async with asyncio.TaskGroup() as group:
        group.create_task(_listen_to_discord(settings, take))
        group.create_task(_listen_to_telegram(settings, redis, take))
        group.create_task(_listen_to_slack(settings, take))


async def work(settings: Settings, redis: Redis) -> None:
    free = asyncio.Semaphore(_AT_ONCE)
    async with AsyncExitStack() as stack, asyncio.TaskGroup() as group:
        sends = {
            "discord": await stack.enter_async_context(_discord(settings)),
            "telegram": await stack.enter_async_context(_telegram(settings)),
            "slack": _slack(settings),
        }

        async def answer(platform: str, room: str, text: str) -> None:
            try:
                async with _locked(redis, f"lock:{platform}:{room}"):
                    for part in textwrap.wrap(f"You said: {text}", _LIMITS[platform]):
                        await sends[platform](room, part)
            except Exception as exc:  # noqa: BLE001 - one message's failure is no reason to stop
                print(f"not answered: {type(exc).__name__}", flush=True)
            finally:
                free.release()

        while True:
            await free.acquire()
            try:
                taken = await redis.blpop([_QUEUE], timeout=2)
            except RedisError:
                taken = None
                await asyncio.sleep(0.5)
            if taken is None:
                free.release()
            else:
                group.create_task(answer(*json.loads(taken[1])))


@asynccontextmanager
async def _locked(redis: Redis, name: str) -> AsyncIterator[None]:
    token = secrets.token_hex(8)
    while not await redis.set(name, token, nx=True, px=_LOCK_MS):  # noqa: ASYNC110 - as it is usually done
        await asyncio.sleep(0.05)
    try:
        yield
    finally:
        if await redis.get(name) == token.encode():
            await redis.delete(name)


async def _listen_to_discord(settings: Settings, take: Take) -> None:
    class Client(discord.Client):
        async def on_message(self, message: discord.Message) -> None:
            direct = message.guild is None
            if message.author.bot or not (direct or self.user in message.mentions):
                return
            assert self.user is not None
            text = message.content.replace(f"<@{self.user.id}>", "").strip()
            await take("discord", str(message.channel.id), str(message.id), text)

    _point_discord(settings)
    intents = discord.Intents(guilds=True, guild_messages=True, dm_messages=True, message_content=True)
    while True:
        try:
            async with Client(intents=intents) as client:
                await client.start(settings.discord_token)
        except (aiohttp.ClientError, discord.DiscordException, OSError) as exc:
            print(f"discord: {type(exc).__name__}", flush=True)
        await asyncio.sleep(1.0)


async def _listen_to_telegram(settings: Settings, redis: Redis, take: Take) -> None:
    async def on_message(update: Update, _: Any) -> None:
        message = update.message
        if message is None or message.from_user is None or message.from_user.is_bot:
            return
        text = (message.text or "").removeprefix("@trialogue_bot").strip()
        await take("telegram", str(message.chat.id), str(message.message_id), text)

    application = Application.builder().token(settings.telegram_token).base_url(settings.telegram_api).build()
    application.add_handler(MessageHandler(filters.TEXT, on_message))
    token = secrets.token_hex(8)
    await _persist(application.initialize)
    await application.start()
    assert application.updater is not None
    polling = False
    while True:
        try:
            mine = bool(await redis.set("poller", token, nx=True, px=10_000))
            if not mine and await redis.get("poller") == token.encode():
                mine = bool(await redis.pexpire("poller", 10_000))
        except RedisError:
            mine = polling
        if mine and not polling:
            await application.updater.start_polling(bootstrap_retries=-1)
        elif polling and not mine:
            await application.updater.stop()
        polling = mine
        await asyncio.sleep(2.0)


async def _listen_to_slack(settings: Settings, take: Take) -> None:
    client = SocketModeClient(
        app_token=settings.slack_app_token, web_client=_slack_client(settings, settings.slack_bot_token)
    )
    client.web_client.base_url = settings.slack_api

    async def on_request(socket: AsyncBaseSocketModeClient, request: SocketModeRequest) -> None:
        await socket.send_socket_mode_response(SocketModeResponse(envelope_id=request.envelope_id))
        event = request.payload.get("event", {})
        from_a_person = event.get("type") == "message" and "bot_id" not in event and "subtype" not in event
        if request.type == "events_api" and from_a_person:
            await take("slack", event["channel"], event["ts"], event["text"])

    client.socket_mode_request_listeners.append(on_request)
    await _persist(client.connect)
    await asyncio.Event().wait()


@asynccontextmanager
async def _discord(settings: Settings) -> AsyncIterator[Send]:
    _point_discord(settings)
    async with discord.Client(intents=discord.Intents.none()) as client:
        await _persist(lambda: client.login(settings.discord_token))

        async def send(room: str, text: str) -> None:
            # discord.py tries again by itself, with the same nonce.
            await client.get_partial_messageable(int(room)).send(text, nonce=secrets.randbits(60))

        yield send


@asynccontextmanager
async def _telegram(settings: Settings) -> AsyncIterator[Send]:
    bot = Bot(settings.telegram_token, base_url=settings.telegram_api)
    await _persist(bot.initialize)

    async def send(room: str, text: str) -> None:
        for number in range(1, _TRIES + 1):
            try:
                await bot.send_message(int(room), text)
            except RetryAfter as exc:
                after = exc.retry_after
                await asyncio.sleep(after if isinstance(after, int | float) else after.total_seconds())
            except NetworkError:
                if number == _TRIES:
                    raise
                await asyncio.sleep(0.5 * 2**number)
            else:
                return

    yield send
    await bot.shutdown()


def _slack(settings: Settings) -> Send:
    client = _slack_client(settings, settings.slack_bot_token)

    async def send(room: str, text: str) -> None:
        await client.chat_postMessage(channel=room, text=text)

    return send


def _slack_client(settings: Settings, token: str) -> AsyncWebClient:
    handlers = [
        AsyncConnectionErrorRetryHandler(max_retry_count=_TRIES),
        AsyncRateLimitErrorRetryHandler(max_retry_count=_TRIES),
        AsyncServerErrorRetryHandler(max_retry_count=_TRIES),
    ]
    return AsyncWebClient(token=token, base_url=settings.slack_api, retry_handlers=handlers)


def _point_discord(settings: Settings) -> None:
    discord.http.Route.BASE = settings.discord_api
    discord.gateway.DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(settings.discord_gateway)


async def _persist(begin: Callable[[], Awaitable[Any]]) -> None:
    """A platform that does not answer yet is asked again."""
    while True:
        try:
            await begin()
        except (aiohttp.ClientError, discord.DiscordException, NetworkError, OSError, RetryAfter, SlackApiError):
            await asyncio.sleep(1.0)
        else:
            return


async def main(role: str, settings: Settings) -> None:
    redis = Redis.from_url(settings.redis)
    await (listen if role == "listen" else work)(settings, redis)


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], Settings(**json.loads(sys.argv[2]))))
