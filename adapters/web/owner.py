"""Whose conversations a browser sees: its own, by a random id in a cookie, or those of a key.

On this machine a browser needs nothing but its cookie. Whoever comes from elsewhere, also by a proxy or a
container's port, needs a key, once: it then lies in a cookie of its own. Both cookies are for this page alone and
no script reads them. Whoever has one reads the conversations, so the value of either goes nowhere else: an owner
is named by a hash, or by the key's id, which may stand in the store's keys and in logs.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

from adapters.web.hosts import FORWARDED, is_loopback
from adapters.web.library import Keys

COOKIE, KEY_COOKIE = "trialogue", "trialogue-key"

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_KEPT_SECONDS = 400 * 24 * 3600  # the most that browsers allow; renewed each time the page connects


@dataclass(frozen=True, slots=True)
class Owner:
    """`name` is no secret. `cookie` is what the browser is to keep, and `key` what must stay valid, if any."""

    name: str
    cookie: str = field(default="", repr=False)
    key: str = field(default="", repr=False)


async def owner_of(connection: HTTPConnection, keys: Keys) -> Owner | None:
    """Who connects; a new one if a browser brings no cookie of ours. `None`: a key is needed.

    Raises `StoreUnavailable`.
    """
    if _is_local(connection):
        value = connection.cookies.get(COOKIE, "")
        secret = value if _VALUE.fullmatch(value) else secrets.token_urlsafe(32)
        name = hashlib.blake2b(secret.encode(), digest_size=12, person=b"trialogue chat").hexdigest()
        return Owner(name, cookie=_cookie(connection, COOKIE, secret))
    return await by_key(connection, connection.cookies.get(KEY_COOKIE, ""), keys)


async def by_key(connection: HTTPConnection, key: str, keys: Keys) -> Owner | None:
    """Whose key that is. Raises `StoreUnavailable`."""
    name = await keys.valid(key) if key.isascii() and key.isprintable() and 0 < len(key) <= 100 else None
    return None if name is None else Owner(f"key-{name}", cookie=_cookie(connection, KEY_COOKIE, key), key=key)


def _is_local(connection: HTTPConnection) -> bool:
    """Whether it comes from a browser on this machine, as far as one can tell. A proxy here says in a header for
    whom it asks, or asks under a name of its own."""
    client, host = connection.client, connection.url.hostname
    if client is None or any(name in connection.headers for name in FORWARDED):
        return False
    return is_loopback(client.host) and (host == "localhost" or is_loopback(host or ""))


def _cookie(connection: HTTPConnection, name: str, value: str) -> str:
    """The header that makes the browser keep it.

    It is set on the WebSocket's handshake, not with the page: a Strict cookie is not sent when somebody follows a
    link to the page from elsewhere, and a new one would then overwrite it.
    """
    ending = "; Secure" if connection.headers.get("origin", "").startswith("https:") else ""
    return f"{name}={value}; Path=/; Max-Age={_KEPT_SECONDS}; HttpOnly; SameSite=Strict{ending}"


def locale_of(connection: HTTPConnection) -> str:
    """The language that the browser asks for first; empty if it asks for none."""
    wanted = connection.headers.get("accept-language", "")
    return re.split("[,;]", wanted, maxsplit=1)[0].strip()
