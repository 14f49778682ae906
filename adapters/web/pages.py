"""The page's own files: its words in each language, its modules, its styles. Nothing comes from elsewhere."""

import hashlib
from collections.abc import Iterator
from functools import cache
from html import escape
from importlib.resources import files
from importlib.resources.abc import Traversable

import msgspec
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.web.owner import locale_of
from adapters.web.words import WORDS
from core.languages import LANGUAGES, language_of, translated

_TYPES = {"js": "text/javascript", "css": "text/css"}

_HEADERS = {
    "Cache-Control": "no-cache",
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src data:; connect-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    ),
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}


@cache
def version(title: str, model_name: str) -> str:
    """Another one whenever any of it is: a page that was opened before that should be opened anew."""
    digest = hashlib.sha256(msgspec.json.encode([title, model_name, WORDS]))
    for file in sorted(files(__package__).joinpath("static").iterdir(), key=lambda file: file.name):
        digest.update(file.read_bytes())
    return digest.hexdigest()[:16]


def pages(middleware: list[Middleware], *, title: str, model_name: str) -> Iterator[Route]:
    """A route for each file, held in memory."""
    folder = files(__package__).joinpath("static")
    yield _page(folder.joinpath("index.html"), middleware, title=title, model_name=model_name)
    for file in folder.iterdir():
        ending = file.name.rpartition(".")[2]
        if ending in _TYPES:
            yield _file(file, _TYPES[ending], middleware)


def _page(file: Traversable, middleware: list[Middleware], **names: str) -> Route:
    """The page in the language that is asked for. It says {{word}} for a word, and each {{name}}."""
    template = file.read_text(encoding="utf-8")
    bodies = {}
    names["version"] = version(**names)
    for language in LANGUAGES:
        words = {name: translated(sentence, language) for name, sentence in WORDS.items()}
        text = template.replace("{{words}}", escape(msgspec.json.encode(words).decode()))
        for name, value in {"language": language, **words, **names}.items():
            text = text.replace(f"{{{{{name}}}}}", escape(value))
        bodies[language] = text.encode()
    headers = {language: {**_headers(body), "Vary": "Accept-Language"} for language, body in bodies.items()}

    async def endpoint(request: Request) -> Response:
        language = language_of(locale_of(request))
        return _answer(request, bodies[language], headers[language], "text/html")

    return Route("/", endpoint, middleware=middleware)


def _file(file: Traversable, media_type: str, middleware: list[Middleware]) -> Route:
    body = file.read_bytes()
    headers = _headers(body)

    async def endpoint(request: Request) -> Response:
        return _answer(request, body, headers, media_type)

    return Route(f"/{file.name}", endpoint, middleware=middleware)


def _headers(body: bytes) -> dict[str, str]:
    return {**_HEADERS, "ETag": f'"{hashlib.sha256(body).hexdigest()[:32]}"'}


def _answer(request: Request, body: bytes, headers: dict[str, str], media_type: str) -> Response:
    if request.headers.get("if-none-match") == headers["ETag"]:
        return Response(status_code=304, headers=headers)
    return Response(body, headers=headers, media_type=media_type)
