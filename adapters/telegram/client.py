"""python-telegram-bot's `Bot` over a connection of our own, and nothing of what we do with it.

Why the library's own connection does not do here:
- httpx writes each URL to the log at INFO, and the URL holds the token. The library writes an answer that it
  cannot read to the log, and every parameter at DEBUG: people's words.
- A connection that was never made and one that was cut after the request look the same there. Only after the
  second may a message stand in the room.
- `RetryAfter` cannot be made without a deprecation warning; `Bot.initialize` puts a refused token into its error.
- A form has to be made of parts, each of which is text already; as JSON a call goes out in one piece.
"""

import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import cache
from typing import Any
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import msgspec
from telegram import Bot  # noqa: TID251
from telegram.error import NetworkError, TelegramError, TimedOut  # noqa: TID251
from telegram.request import BaseRequest, RequestData  # noqa: TID251

from adapters.fetching import fetched
from core.errors import NotFetched

logging.getLogger("telegram").setLevel(logging.INFO)  # below that it writes every message's text

# Seconds that an answer may take. The server gives up on a slow call of its own sooner.
_ANSWER = 20.0
_CONNECT = 10.0


_JSON = {"Content-Type": "application/json"}


class FloodControl(TelegramError):
    """429: Telegram wants silence for `after` seconds."""

    def __init__(self, after: float) -> None:
        super().__init__(f"Flood control exceeded. Retry in {after:g} s")
        self.after = after


class Unreached(NetworkError):
    """No connection was made: Telegram knows nothing of the call."""


class _Parameters(msgspec.Struct):
    retry_after: float | None = None


class _Answer(msgspec.Struct):
    """As much of an answer as tells that it is one of the Bot API: https://core.telegram.org/bots/api#making-requests"""

    ok: bool
    parameters: _Parameters | None = None


class Connection(BaseRequest):
    """The library's way to the server, on aiohttp.

    Raises `Unreached`, `TimedOut`, `FloodControl` and `NetworkError`; other refusals are left to the library,
    which makes its own errors of them. Never repeats a call and never follows a redirect: the URL holds the token.
    """

    __slots__ = ("_session",)

    def __init__(self) -> None:
        self._session: aiohttp.ClientSession | None = None

    @property
    def read_timeout(self) -> float:
        return _ANSWER

    async def initialize(self) -> None:
        if self._session is None:
            self._session = aiohttp.ClientSession(connector=aiohttp.TCPConnector(limit=256))

    async def shutdown(self) -> None:
        if self._session is not None:
            await self._session.close()
            self._session = None

    async def do_request(
        self,
        url: str,
        method: str,
        request_data: RequestData | None = None,
        read_timeout: Any = BaseRequest.DEFAULT_NONE,
        write_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002
        connect_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002
        pool_timeout: Any = BaseRequest.DEFAULT_NONE,  # noqa: ARG002
    ) -> tuple[int, bytes]:
        assert self._session is not None, "used before it was entered"
        answer = read_timeout if isinstance(read_timeout, int | float) else _ANSWER
        timeout = aiohttp.ClientTimeout(total=_CONNECT + answer, connect=_CONNECT, sock_connect=_CONNECT)
        data = _encoded(request_data) if request_data else None
        try:
            async with self._session.request(
                method,
                url,
                data=data,
                headers=None if isinstance(data, aiohttp.FormData) else _JSON,
                proxy=_proxy_to(url),
                timeout=timeout,
                allow_redirects=False,
            ) as response:
                status, payload = response.status, await response.read()
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError) as exc:
            raise Unreached(f"no connection: {type(exc).__name__}") from exc
        except TimeoutError as exc:
            raise TimedOut from exc
        except (aiohttp.ClientError, OSError) as exc:
            raise NetworkError(f"connection lost: {type(exc).__name__}") from exc
        _check(status, payload)
        return status, payload


def _encoded(request: RequestData) -> bytes | aiohttp.FormData:
    """JSON, or a form where there are files."""
    if not request.contains_files:
        return msgspec.json.encode(request.parameters)
    form = aiohttp.FormData(request.json_parameters)
    for part, (name, content, kind) in request.multipart_data.items():
        form.add_field(part, content, filename=name, content_type=kind)
    return form


def _proxy_to(url: str) -> str | None:
    """The proxy that the usual variables name: for many people the only way to Telegram."""
    parts = urlsplit(url)
    return _proxy_between(parts.scheme, parts.hostname or "")


@cache
def _proxy_between(scheme: str, host: str) -> str | None:
    # aiohttp would look at variables and files anew for each request, and in a thread.
    return None if proxy_bypass(host) else getproxies().get(scheme)


def _check(status: int, payload: bytes) -> None:
    try:
        answer = msgspec.json.decode(payload, type=_Answer)
    except (msgspec.DecodeError, UnicodeDecodeError) as exc:
        raise NetworkError(f"HTTP {status} that is no answer of the Bot API") from exc
    if status == 429:
        asked = answer.parameters.retry_after if answer.parameters else None
        raise FloodControl(1.0 if asked is None else asked)
    if status < 300 and not answer.ok:
        raise NetworkError(f"HTTP {status} that says it failed")


class Client(Bot):
    """The library's `Bot`. `connection` must be initialized; `Bot.initialize` is not called."""

    def __init__(self, token: str, server: str, connection: Connection) -> None:
        super().__init__(
            token,
            base_url=f"{server}/bot",
            base_file_url=f"{server}/file/bot",
            request=connection,
            get_updates_request=connection,
        )

    @asynccontextmanager
    async def download(self, file: str) -> AsyncIterator[AsyncIterator[bytes]]:
        """The bytes of the file with the id `file`; Telegram hands out up to 20 MB of one. Raises `NotFetched`."""
        try:
            answer = await self._post("getFile", {"file_id": file})
        except TelegramError as exc:
            raise NotFetched(f"getFile: {exc.message}") from exc
        path = answer.get("file_path") if isinstance(answer, dict) else None
        # A server of one's own may say where the file is on its disk: that is no address.
        if not isinstance(path, str) or path.startswith("/") or ".." in path:
            raise NotFetched("getFile gave no path on the server")
        root = f"{self.base_file_url}/"  # holds the token: it is in no error
        url = f"{root}{path}"
        async with fetched(url, bases=(root,), proxy=_proxy_to(url)) as chunks:
            yield chunks

    async def updates(self, offset: int | None, *, timeout: int, allowed: tuple[str, ...]) -> list[dict[str, Any]]:
        """`getUpdates` without parsing: one update that the library cannot read must not lose the others.

        Waits up to `timeout` seconds for the first. Raises `TelegramError`.
        """
        asked = {"offset": offset, "timeout": timeout, "allowed_updates": list(allowed)}
        result = await self._post("getUpdates", asked, read_timeout=timeout + _ANSWER)
        if not isinstance(result, list) or not all(
            isinstance(update, dict) and isinstance(update.get("update_id"), int) for update in result
        ):
            raise NetworkError("getUpdates gave something else than updates")
        return result
