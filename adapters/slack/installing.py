"""The pages by which a workspace installs the app: Bolt's own flow, on our HTTP server."""

import logging
from collections.abc import Awaitable, Callable

import aiohttp
from slack_bolt.adapter.starlette.async_handler import (  # noqa: TID251
    to_async_bolt_request,
    to_starlette_response,
)
from slack_bolt.oauth.async_oauth_flow import AsyncOAuthFlow  # noqa: TID251
from slack_bolt.oauth.async_oauth_settings import AsyncOAuthSettings  # noqa: TID251
from slack_bolt.request.async_request import AsyncBoltRequest  # noqa: TID251
from slack_bolt.response import BoltResponse  # noqa: TID251
from starlette.requests import Request
from starlette.responses import PlainTextResponse, Response
from starlette.routing import Route

from adapters.slack.client import FAILURES, SDK_LOG, web_client
from adapters.slack.installations import STATE_GOOD_FOR, Installations, States
from adapters.slack.manifest import INSTALL_PATH, REDIRECT_PATH, SCOPES
from adapters.slack.settings import SlackSettings
from core.errors import StoreUnavailable

log = logging.getLogger(__name__)

_Page = Callable[[AsyncOAuthFlow, AsyncBoltRequest], Awaitable[BoltResponse]]


def oauth_flow(
    settings: SlackSettings, session: aiohttp.ClientSession, installations: Installations, states: States
) -> AsyncOAuthFlow:
    # Bolt reads its environment for what is not given; where it says nothing, Slack takes the app's first URL.
    return AsyncOAuthFlow(
        client=web_client(session, token=None, api_base=settings.api_base),
        logger=SDK_LOG,
        settings=AsyncOAuthSettings(
            client_id=settings.client_id,
            client_secret=settings.client_secret,
            scopes=list(SCOPES),
            user_scopes=[],
            install_path=INSTALL_PATH,
            redirect_uri_path=REDIRECT_PATH,
            installation_store=installations,
            installation_store_bot_only=True,
            state_store=states,
            state_expiration_seconds=int(STATE_GOOD_FOR.total_seconds()),
            logger=SDK_LOG,
        ),
    )


def routes(flow: Callable[[], AsyncOAuthFlow | None]) -> list[Route]:
    """Where a workspace begins to install the app, and where Slack sends it back to."""

    def page(path: str, show: _Page) -> Route:
        async def answer(request: Request) -> Response:
            if (current := flow()) is None:
                return Response(status_code=503)
            try:
                return to_starlette_response(await show(current, to_async_bolt_request(request, b"")))
            except (StoreUnavailable, *FAILURES) as exc:
                log.warning("an installation did not get on: %s", type(exc).__name__)
                return PlainTextResponse("This does not work just now. Please try again in a minute.", 503)

        return Route(path, answer, methods=["GET"])

    return [
        page(INSTALL_PATH, AsyncOAuthFlow.handle_installation),
        page(REDIRECT_PATH, AsyncOAuthFlow.handle_callback),
    ]
