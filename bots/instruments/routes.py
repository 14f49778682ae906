"""/metrics for Prometheus and /readyz for whoever decides whether this process gets work. Who may read the metrics
is who may use the API; whether we are ready anybody may know."""

from collections.abc import Awaitable, Callable, Sequence

from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from bots.http.api.access import Access
from bots.http.api.errors import as_api_error
from bots.instruments.health import Health
from core.errors import CoreError

Endpoint = Callable[[Request], Awaitable[Response]]


def routes(registry: CollectorRegistry, health: Health, access: Access) -> Sequence[BaseRoute]:
    return [
        Route("/metrics", _metrics(registry, access), methods=["GET"]),
        Route("/readyz", _readyz(health), methods=["GET"]),
    ]


def _metrics(registry: CollectorRegistry, access: Access) -> Endpoint:
    async def metrics(request: Request) -> Response:
        try:
            await access.admit(request.scope)
        except CoreError as exc:
            return as_api_error(exc).response()
        encode, content_type = choose_encoder(request.headers.get("accept", ""))
        return Response(encode(registry), headers={"content-type": content_type})

    return metrics


def _readyz(health: Health) -> Endpoint:
    async def readyz(_request: Request) -> Response:
        found = await health.look()
        return JSONResponse(dict(found), 200 if all(found.values()) else 503)

    return readyz
