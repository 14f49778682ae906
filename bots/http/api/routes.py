"""The API's routes: what `bots.app` mounts."""

from collections.abc import Mapping, Sequence

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route
from starlette.types import ASGIApp

from bots.http.api.access import Access
from bots.http.api.answers import ChatForm, TextForm
from bots.http.api.completions import Completions
from bots.http.api.document import document
from bots.http.api.embeddings import Embeddings
from bots.http.api.endpoint import Limits, Listing, NotHere, Service
from bots.http.api.models import Models
from bots.http.api.requests import ChatRequest, CompletionRequest, EmbeddingRequest
from core.engine.embedding import Embedder
from core.engine.engine import Engine, Params

_LIMITS = Limits()


def routes(
    engine: Engine,
    access: Access,
    *,
    personas: Mapping[str, str],
    others: Mapping[str, Engine] | None = None,
    embedder: Embedder | None = None,
    params: Params,
    limits: Limits = _LIMITS,
) -> Sequence[BaseRoute]:
    """`params` are those of a request that names none; `personas` are texts, and `others` further models, by
    name. `embedder` makes embeddings; `None`: nobody does."""
    models = Models(engine, personas, others or {}, embedder)
    service = Service(access=access, models=models, params=params, limits=limits)
    return [
        Route("/openapi.json", _document, methods=["GET"]),
        *_route("/v1/models", "GET", Listing(access, models.all)),
        *_route("/v1/models/{model:path}", "GET", Listing(access, models.describe)),
        *_route("/v1/chat/completions", "POST", Completions(service, ChatRequest, ChatForm)),
        *_route("/v1/completions", "POST", Completions(service, CompletionRequest, TextForm)),
        *_route("/v1/embeddings", "POST", Embeddings(service, EmbeddingRequest)),
        Route("/v1/{path:path}", NotHere()),
    ]


def _route(path: str, method: str, app: ASGIApp) -> list[BaseRoute]:
    return [Route(path, app, methods=[method]), Route(path, NotHere([method]))]


async def _document(_request: Request) -> Response:
    return JSONResponse(document())
