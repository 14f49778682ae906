"""Who is an operator: whoever has a key that was made with --admin, and until a first key is made, this machine.

The key comes as `Authorization: Bearer`, never in a cookie: a browser adds that to nothing by itself, so that no
other site can act with it, and no other server on this host is ever sent it.
"""

from starlette.types import Scope

from bots.http.api.access import Access, Visitor
from bots.http.api.errors import ApiError


async def admit(access: Access, scope: Scope) -> Visitor:
    """The operator who asks. Raises `ApiError` and `StoreUnavailable`."""
    visitor = await access.admit(scope)
    if visitor.key is not None and visitor.key.scope != "admin":
        raise ApiError(403, "This is no operator's key. Make one with `trialogue keys add NAME --admin`.")
    return visitor
