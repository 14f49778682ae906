"""Fetches what people sent from where a platform keeps it. Knows no platform and no SDK.

An address comes with a message, so that it may be anybody's: only what begins as the platform's own do is asked
for, and a redirect is never followed.
"""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager

import aiohttp

from core.errors import NotFetched

_TIMES = aiohttp.ClientTimeout(total=None, connect=10.0, sock_connect=10.0, sock_read=20.0)
_CHUNK = 65536  # bytes


@asynccontextmanager
async def fetched(
    url: str,
    *,
    bases: Sequence[str],
    headers: Mapping[str, str] | None = None,
    proxy: str | None = None,
    refused_type: str = "",
) -> AsyncIterator[AsyncIterator[bytes]]:
    """The bytes at `url`, which must begin with one of `bases`; each of those ends with a slash. What is served as
    the media type `refused_type` is not what was sent. How many bytes are too many is up to whoever reads.

    Raises `NotFetched`, also while they come.
    """
    if not url.startswith(tuple(bases)):
        raise NotFetched("its address is not one of the platform's own")
    # Bytes as they were sent: nothing is unpacked on the way.
    asked = {**(headers or {}), "Accept-Encoding": "identity"}
    try:
        async with (
            aiohttp.ClientSession(timeout=_TIMES, auto_decompress=False) as session,
            session.get(url, headers=asked, proxy=proxy, allow_redirects=False) as response,
        ):
            if response.status != 200:
                raise NotFetched(f"the platform answers with {response.status}")
            if refused_type and response.content_type == refused_type:
                raise NotFetched("the platform answers with a page of its own")
            yield _bytes(response)
    except (aiohttp.ClientError, ValueError) as exc:  # ValueError: no URL at all
        raise NotFetched(f"the connection failed: {type(exc).__name__}") from exc


async def _bytes(response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    async for chunk in response.content.iter_chunked(_CHUNK):
        yield chunk
