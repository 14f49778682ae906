"""The routes of the operator's page: what `bots.app` mounts."""

from collections.abc import Sequence

from starlette.routing import BaseRoute, Route

from bots.http.admin import page
from bots.http.admin.orders import Orders
from bots.http.admin.overview import Overview
from bots.http.admin.stream import Stream
from bots.http.api.access import Access
from core.store.store import Store


def routes(store: Store, overview: Overview, access: Access) -> Sequence[BaseRoute]:
    orders = Orders(store, overview, access)
    return [
        *page.routes(),
        Route("/admin/stream", Stream(overview, access), methods=["GET"]),
        Route("/admin/orders", orders.post, methods=["POST"]),
    ]
