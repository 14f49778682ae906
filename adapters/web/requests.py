"""What a page asks by HTTP: to keep a key in a cookie, and to take a file. All else goes over its WebSocket."""

import asyncio
import logging
from collections.abc import Iterator

from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.web.library import Keys
from adapters.web.owner import by_key, locale_of, owner_of
from adapters.web.uploads import NoRoom, Uploads
from core.errors import AWAY, NotFetched
from core.languages import msgid, translated

log = logging.getLogger(__name__)

FILES = "/files/"
"""Under which path files are taken."""

KEY_NEEDED = msgid(
    "From another machine this page needs a key. Whoever runs it makes one with `trialogue keys add`."
)

_WRONG_KEY = msgid("This key is not known, or was revoked.")
_NO_ROOM = msgid("There is no room for this file right now. Please try again later.")

_LONGEST_KEY = 200
_UPLOADED_WITHIN = 300.0


def requests(uploads: Uploads | None, keys: Keys, middleware: list[Middleware]) -> Iterator[Route]:
    """The routes; none for files where there are no `uploads`."""

    async def take_key(request: Request) -> Response:
        try:
            key = (await request.body())[:_LONGEST_KEY].decode(errors="replace").strip()
            owner = await by_key(request, key, keys)
        except ClientDisconnect:
            return Response(status_code=400)
        except AWAY as exc:
            return _said(request, exc.reply, 503)
        if owner is None:
            return _said(request, _WRONG_KEY, 401)
        return Response(status_code=204, headers={"Set-Cookie": owner.cookie})

    yield Route("/key", take_key, methods=["POST"], middleware=middleware)
    if uploads is not None:
        yield Route(FILES + "{name}", _Taking(uploads, keys).take, methods=["PUT"], middleware=middleware)


class _Taking:
    """Writes what is uploaded to disk while it comes."""

    def __init__(self, uploads: Uploads, keys: Keys) -> None:
        self._uploads = uploads
        self._keys = keys

    async def take(self, request: Request) -> Response:
        try:
            owner = await owner_of(request, self._keys)
        except AWAY as exc:
            return _said(request, exc.reply, 503)
        if owner is None:
            return _said(request, KEY_NEEDED, 401)
        try:
            async with asyncio.timeout(_UPLOADED_WITHIN):
                await self._uploads.keep(owner.name, request.path_params["name"], request.stream())
        except NotFetched:
            return Response(status_code=404)
        except ClientDisconnect:
            return Response(status_code=400)
        except (NoRoom, TimeoutError) as exc:
            log.warning("a file was not taken: %s", exc)
            return _said(request, _NO_ROOM, 507)
        return Response(status_code=204)


def _said(request: Request, sentence: str, status: int) -> Response:
    return PlainTextResponse(translated(sentence, locale_of(request)), status)
