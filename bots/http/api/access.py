"""Who may ask. Until a first key was made, only this machine, and then whatever Authorization it sends; from then
on only who has a valid key.

Without keys, three ways around "only this machine" are closed: a proxy here that passes on what comes from
elsewhere (it says so in a header), a foreign page in a browser here (it has an Origin), and a foreign name that
was pointed at us (the Host is then not ours).
"""

import asyncio
import logging
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers
from starlette.types import Scope

from adapters.web.hosts import FORWARDED, is_address, is_loopback
from bots.http.api.errors import ApiError, rate_limited, wrong_key
from core.errors import AWAY
from core.store.api_keys import Allowance, ApiKey, ApiKeys

log = logging.getLogger(__name__)

CHECK_SECONDS = 2.0
"""How often a key is looked at while something is streamed for it."""

_MAKE_A_KEY = "Make a key with `trialogue keys add`"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Whoever may ask: with this key, or on this machine without one. `headers` tell what the key has left."""

    key: ApiKey | None
    headers: Mapping[str, str] = field(default_factory=dict)

    @property
    def user(self) -> str:
        """By what the engine's line knows it."""
        return f"api:{self.key.id}" if self.key is not None else "api:local"


class Access:
    """`names` are host names of this server besides localhost."""

    def __init__(self, keys: ApiKeys, names: Collection[str], *, check_every: float = CHECK_SECONDS) -> None:
        self._keys = keys
        self._names = {"localhost", *(name.lower() for name in names)}
        self._check_every = check_every

    async def admit(self, scope: Scope) -> Visitor:
        """Who is asking. Raises `ApiError` and `StoreUnavailable`."""
        headers = Headers(scope=scope)
        if not await self._keys.any():
            self._check_local(scope, headers)
            return Visitor(None)
        return Visitor(await self._key(headers))

    async def count(self, visitor: Visitor) -> Visitor:
        """Take one request from what the visitor's key has left. Raises `ApiError` when nothing is."""
        if visitor.key is None:
            return visitor
        allowance = await self._keys.ask(visitor.key)
        told = _told(visitor.key, allowance)
        if not allowance.granted:
            raise rate_limited(allowance.wait, told)
        return Visitor(visitor.key, told)

    async def charge(self, visitor: Visitor, tokens: int) -> None:
        """Take these from what the key has left. A store that is away forgoes them."""
        if visitor.key is None or not visitor.key.is_limited:
            return
        try:
            await self._keys.charge(visitor.key, tokens)
        except AWAY as exc:
            log.warning("%d tokens of key %s were not counted: %s", tokens, visitor.key.id, exc)

    async def until_revoked(self, visitor: Visitor, authorization: str | None) -> None:
        """Return when the visitor may ask no more. A store that is away is waited for."""
        secret = _bearer(authorization)
        while True:
            await asyncio.sleep(self._check_every)
            try:
                if visitor.key is None:
                    valid = not await self._keys.any()
                else:
                    key = await self._keys.find(secret)
                    valid = key is not None and key.is_valid
            except AWAY:
                continue
            if not valid:
                return

    async def _key(self, headers: Headers) -> ApiKey:
        secret = _bearer(headers.get("authorization"))
        if not secret:
            raise wrong_key("A key is needed: Authorization: Bearer tri-...")
        key = await self._keys.find(secret)
        if key is None or not key.is_valid:
            raise wrong_key("This key is not known, or was revoked.")
        return key

    def _check_local(self, scope: Scope, headers: Headers) -> None:
        client = scope.get("client")
        if client is None or not is_loopback(client[0]) or any(name in headers for name in FORWARDED):
            raise wrong_key(f"Without a key only this machine is served. {_MAKE_A_KEY}.")
        hosts = headers.getlist("host")
        if len(hosts) != 1 or not self._is_ours(hosts[0]):
            raise ApiError(421, f"This name is not served here without a key. {_MAKE_A_KEY}, or see http.names.")
        origin = headers.get("origin")
        if origin is not None and urlsplit(origin).netloc.lower() != hosts[0].lower():
            raise ApiError(403, f"Pages of other sites are not served without a key. {_MAKE_A_KEY}.")

    def _is_ours(self, host: str) -> bool:
        try:
            name = urlsplit(f"//{host}").hostname or ""
        except ValueError:
            return False
        return name in self._names or is_address(name)


def _bearer(authorization: str | None) -> str:
    scheme, _, secret = (authorization or "").partition(" ")
    return secret.strip() if scheme.lower() == "bearer" else ""


def _told(key: ApiKey, allowance: Allowance) -> dict[str, str]:
    """OpenAI's headers for what is left."""
    told = {}
    for name, limit, left in (
        ("requests", key.requests_per_minute, allowance.requests),
        ("tokens", key.tokens_per_minute, allowance.tokens),
    ):
        if left is not None:
            told[f"x-ratelimit-limit-{name}"] = str(limit)
            told[f"x-ratelimit-remaining-{name}"] = str(max(0, left))
    return told
