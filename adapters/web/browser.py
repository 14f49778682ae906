"""Which conversation a browser is in: a random id in a cookie that only this browser and we know.

Whoever has the cookie reads the conversation, so its value goes nowhere else: the conversation is named by its
hash, which may stand in the store's keys and in logs.
"""

import hashlib
import re
import secrets
from dataclasses import dataclass, field

from starlette.requests import HTTPConnection

COOKIE = "trialogue"

_VALUE = re.compile(r"[A-Za-z0-9_-]{43}")
_KEPT_SECONDS = 400 * 24 * 3600  # the most that browsers allow; renewed each time the page connects


@dataclass(frozen=True, slots=True)
class Browser:
    """One browser. `secret` is its cookie's value."""

    secret: str = field(repr=False)

    @classmethod
    def of(cls, connection: HTTPConnection) -> "Browser":
        """The browser that connects; a new one if it brings no cookie of ours."""
        value = connection.cookies.get(COOKIE, "")
        return cls(value if _VALUE.fullmatch(value) else secrets.token_urlsafe(32))

    @property
    def chat(self) -> str:
        return hashlib.blake2b(self.secret.encode(), digest_size=12, person=b"trialogue chat").hexdigest()

    def cookie(self, *, secure: bool) -> str:
        """The header that makes the browser keep its id.

        It is set on the WebSocket's handshake, not with the page: a Strict cookie is not sent when somebody
        follows a link to the page from elsewhere, and a new one would then overwrite it.
        """
        ending = "; Secure" if secure else ""
        return f"{COOKIE}={self.secret}; Path=/; Max-Age={_KEPT_SECONDS}; HttpOnly; SameSite=Strict{ending}"


def locale_of(connection: HTTPConnection) -> str:
    """The language that the browser asks for first; empty if it asks for none."""
    wanted = connection.headers.get("accept-language", "")
    return re.split("[,;]", wanted, maxsplit=1)[0].strip()
