"""Calls to Discord's REST API through discord.py's HTTP client, one attempt each. Knows no message and no room.

discord.py counts the limits of each route and waits for them before a call. After a call it would also wait by
itself: on a 429 as long as it is told, on a 500 up to 25 seconds, and then say what it was given before. By then
that is old text, so such an answer ends the call here, and the caller decides.
"""

import asyncio
import json
from collections.abc import Coroutine, Mapping
from types import SimpleNamespace
from typing import Any

import aiohttp
import discord  # noqa: TID251

from adapters.delivery import File, Limited, Unavailable
from adapters.discord.settings import RESET_TOKEN, DiscordSettings
from core.errors import Refused

_SECONDS = 20.0  # for one call, where the caller sets no shorter limit
_LONGEST_LIMIT = 30.0  # the least that discord.py accepts: it refuses a call that would have to wait longer
_CLOUDFLARE_BAN = 60.0

Json = Any


class Rejected(Exception):
    """Discord understood the call and says no. `code` is Discord's own number for why, 0 if it gave none."""

    def __init__(self, status: int, code: int, what: str) -> None:
        super().__init__(f"{status}, code {code}: {what}")
        self.status = status
        self.code = code
        self.what = what


class Rest:
    """A connection to the API for one token. `open` it first, and `close` it."""

    def __init__(self, settings: DiscordSettings) -> None:
        self._settings = settings
        self._http: discord.http.HTTPClient | None = None

    async def open(self) -> dict[str, Json]:
        """Connect, and return our own user. Raises `Refused` for a wrong token, `Limited` and `Unavailable`."""
        await self.close()
        self._settings.direct_rest()
        trace = aiohttp.TraceConfig()
        trace.on_request_end.append(_refuse_to_wait)
        http = discord.http.HTTPClient(
            asyncio.get_running_loop(), http_trace=trace, max_ratelimit_timeout=_LONGEST_LIMIT
        )
        try:
            me = await _translated(http.static_login(self._settings.token))
        except BaseException:
            await http.close()
            raise
        self._http = http
        return _object(me)

    async def close(self) -> None:
        if self._http is not None:
            http, self._http = self._http, None
            await http.close()

    async def call(
        self,
        method: str,
        path: str,
        body: Json = None,
        query: Mapping[str, str | int] | None = None,
        **parameters: str,
    ) -> Json:
        """One call; `parameters` fill the `{names}` in `path`. Returns the decoded answer, None for an empty one.

        Raises `Rejected`, `Limited`, `Unavailable`, and `Refused` when the token is not accepted any more.
        """
        assert self._http is not None, "open() comes first"
        more: dict[str, Any] = {} if body is None else {"json": body}
        if query:
            more["params"] = query
        route = discord.http.Route(method, path, **parameters)
        answer = await _translated(self._http.request(route, **more))
        if isinstance(answer, str):
            if answer:
                raise Unavailable(in_doubt=True)  # a page of somebody between us and Discord
            return None
        return answer

    async def message(
        self,
        method: str,
        path: str,
        body: Json = None,
        **parameters: str,
    ) -> dict[str, Json]:
        """`call`, where the answer is one object."""
        return _object(await self.call(method, path, body, None, **parameters))

    async def change(
        self, path: str, body: dict[str, Json], file: File | None, **parameters: str
    ) -> dict[str, Json]:
        """Change a message, which has `file` then and no other. Raises what `call` raises."""
        if file is None:
            return await self.message("PATCH", path, {**body, "attachments": []}, **parameters)
        assert self._http is not None, "open() comes first"
        told = {**body, "attachments": [{"id": "0", "filename": file.name}]}
        parts: list[dict[str, Json]] = [
            {"name": "payload_json", "value": json.dumps(told)},
            {
                "name": "files[0]",
                "value": file.text.encode(),
                "filename": file.name,
                "content_type": "text/markdown; charset=utf-8",
            },
        ]
        route = discord.http.Route("PATCH", path, **parameters)
        return _object(await _translated(self._http.request(route, form=parts)))


def _object(answer: Json) -> dict[str, Json]:
    if not isinstance(answer, dict) or "id" not in answer:
        raise Unavailable(in_doubt=True)
    return answer


async def _refuse_to_wait(
    _session: aiohttp.ClientSession, _context: SimpleNamespace, done: aiohttp.TraceRequestEndParams
) -> None:
    response = done.response
    if response.status >= 500:
        raise Unavailable(in_doubt=True)
    if response.status == 429:
        scope = response.headers.get("X-RateLimit-Scope", "")
        # Without Via the answer is not Discord's but of what stands before it, and holds for our whole address.
        banned = "Via" not in response.headers
        raise Limited(
            _seconds(response.headers.get("Retry-After"), _CLOUDFLARE_BAN if banned else 1.0),
            everywhere=banned or scope == "global",
        )


def _seconds(header: str | None, otherwise: float) -> float:
    try:
        return float(header or otherwise)
    except ValueError:
        return otherwise


async def _translated(call: Coroutine[Any, Any, Json]) -> Json:
    try:
        async with asyncio.timeout(_SECONDS):
            return await call
    except discord.RateLimited as exc:
        raise Limited(exc.retry_after) from exc
    except discord.LoginFailure as exc:
        raise _wrong_token() from exc
    except discord.HTTPException as exc:
        if exc.status == 401 and not exc.code:  # with a code it is about an interaction's token
            raise _wrong_token() from exc
        if exc.text.lstrip().startswith("<"):
            raise Unavailable(in_doubt=True) from exc  # a page, so somebody between us and Discord said no
        # Its text is Discord's own; what we sent is not part of it.
        raise Rejected(exc.status, exc.code, exc.text.partition("\n")[0]) from exc
    except aiohttp.ClientConnectorError as exc:
        raise Unavailable(in_doubt=False) from exc
    except (aiohttp.ClientError, OSError, ValueError) as exc:
        # ValueError: what calls itself JSON and is not. A time-out is an OSError.
        raise Unavailable(in_doubt=True) from exc


def _wrong_token() -> Refused:
    return Refused("discord", "the token is not accepted", fix=RESET_TOKEN)
