"""What `trialogue doctor` looks at on Slack. Changes nothing, and takes no event from a bot that runs."""

from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters import Finding
from adapters.slack import refusals
from adapters.slack.client import FAILURES, open_session, translated, web_client
from adapters.slack.manifest import EVENTS_PATH, SCOPES
from adapters.slack.settings import SlackSettings
from core.errors import Refused

# Slack names the scopes of a token with each answer.
_SCOPES_HEADER = "x-oauth-scopes"


async def check(settings: SlackSettings) -> list[Finding]:
    """The tokens, the scopes, and how events come. Needs a connection to the platform; raises nothing."""
    async with open_session() as session:
        client = web_client(session, token=settings.bot_token, api_base=settings.api_base)
        return [*await _bot(client, settings), *await _events(client, settings)]


async def _bot(client: AsyncWebClient, settings: SlackSettings) -> list[Finding]:
    if not settings.bot_token:
        return [_refused(refusals.no_bot_token())]
    try:
        answer = await client.auth_test()
    except FAILURES as exc:
        return [_failed(exc, settings)]
    if not answer.get("bot_id"):
        return [_refused(refusals.refused("not_allowed_token_type"))]
    # aiohttp's own mapping does not care for case, a proxy's does not always keep it.
    headers = {name.lower(): value for name, value in answer.headers.items()}
    granted = {scope.strip() for scope in headers.get(_SCOPES_HEADER, "").split(",")}
    return [
        Finding(True, f"Slack knows the bot as @{answer['user']} in {answer['team']}"),
        *(
            Finding(False, f"the scope {scope} is missing: with it the bot {use}", refusals.scope_fix(scope))
            for scope, use in SCOPES.items()
            if scope not in granted
        ),
    ]


async def _events(client: AsyncWebClient, settings: SlackSettings) -> list[Finding]:
    if settings.mode == "http":
        if not settings.signing_secret:
            return [_refused(refusals.no_signing_secret())]
        return [Finding(True, f"events are pushed by HTTP to {EVENTS_PATH}, and their signatures are checked")]
    if not settings.app_token:
        return [_refused(refusals.no_app_token())]
    try:
        # Makes a URL, which nobody opens: no event comes to it.
        await client.apps_connections_open(app_token=settings.app_token)
    except FAILURES as exc:
        return [_failed(exc, settings, app=True)]
    return [Finding(True, "Socket Mode takes the app token")]


def _failed(exc: Exception, settings: SlackSettings, *, app: bool = False) -> Finding:
    meant = translated(exc, kind="app" if app else "bot")
    if isinstance(meant, Refused):
        return _refused(meant)
    return Finding(False, f"Slack does not answer: {meant}", f"Can this machine reach {settings.api_base}?")


def _refused(refusal: Refused) -> Finding:
    return Finding(False, refusal.why, refusal.fix)
