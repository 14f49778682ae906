"""What `trialogue doctor` looks at on Slack. Changes nothing, and takes no event from a bot that runs."""

import aiohttp
from slack_sdk.web.async_client import AsyncWebClient  # noqa: TID251

from adapters import Finding
from adapters.slack import refusals
from adapters.slack.client import FAILURES, open_session, translated, web_client
from adapters.slack.installations import Installations
from adapters.slack.manifest import EVENTS_PATH, INSTALL_PATH, SCOPES
from adapters.slack.settings import SlackSettings
from adapters.slack.vault import Vault
from core.errors import Refused

# Slack names the scopes of a token with each answer.
_SCOPES_HEADER = "x-oauth-scopes"
# Of the workspaces that have installed the app, so many are asked whether they still have it.
_ASKED = 20


async def check(settings: SlackSettings, vault: Vault | None = None) -> list[Finding]:
    """The tokens, the scopes, and how events come; where workspaces install the app by themselves, those too, by
    what `vault` has. Needs a connection to the platform; raises `StoreUnavailable`."""
    async with open_session() as session:
        client = web_client(session, token=settings.bot_token, api_base=settings.api_base)
        found: list[Finding] = []
        if settings.bot_token or not settings.is_distributed:
            found += await _bot(client, settings)
        if settings.is_distributed and vault is not None:
            found += await _installed(session, settings, Installations(vault, settings.client_id))
        return [*found, *await _events(client, settings)]


async def _installed(
    session: aiohttp.ClientSession, settings: SlackSettings, installations: Installations
) -> list[Finding]:
    if not settings.client_secret:
        return [_refused(refusals.no_client_secret())]
    teams = await installations.teams()
    if not teams:
        what = "no workspace has installed the app by itself yet"
        return [Finding(True, what, f"That is done at {INSTALL_PATH} under the bot's public address.")]
    found = [Finding(True, f"{len(teams)} workspace{'s have' if len(teams) > 1 else ' has'} installed the app")]
    for team in teams[:_ASKED]:
        if (installed := await installations.of(team)) is not None:
            client = web_client(session, token=installed.token, api_base=settings.api_base)
            found += await _bot(client, settings)
    return found


async def _bot(client: AsyncWebClient, settings: SlackSettings) -> list[Finding]:
    if not client.token:
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
